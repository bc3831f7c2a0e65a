//! Properties of the losses for any features, and names of the strategies.

use burn::tensor::{DType, Device, Tensor};
use potstill_nn::tensors::{RowIndex, float_tensor, to_host};
use rand::{RngExt, SeedableRng};

use super::{Term, cka, global_preservation as global, local_preservation as local, vector_geometric as geometric};
use crate::distill::groups::Groups;

fn groups(sizes: &[usize], (systems, atoms): (f64, f64)) -> Groups {
    let mut pairs = Vec::new();
    let mut first = 0;
    for &n in sizes {
        pairs.extend((0..n).flat_map(|i| (0..n).filter(move |&j| i != j).map(move |j| (first + i, first + j))));
        first += n;
    }
    let device = Device::flex().autodiff();
    let index =
        |take: fn(&(usize, usize)) -> usize| RowIndex::new(pairs.iter().map(|p| take(p) as i32).collect(), &device);
    let (source, target) = (index(|p| p.0), index(|p| p.1));
    Groups { sizes: sizes.to_vec(), weights: None, systems, atoms, edges: 26.0, source, target }
}

fn features(n: usize, width: usize, seed: u64) -> Tensor<2> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let values = (0..n * width).map(|_| rng.random_range(-1.0..1.0)).collect();
    float_tensor(values, [n, width], &Device::flex().autodiff(), DType::F64)
}

type Loss = fn(Tensor<2>, Tensor<2>, &Groups) -> Tensor<1>;
const ALL: [(&str, Loss); 4] = [
    ("geometric", |s, t, g| geometric::loss(s, t, 0.3, g)),
    ("global", global::loss),
    ("local", local::loss),
    ("cka", cka::loss),
];

#[test]
fn equal_features_cost_nothing() {
    for (name, loss) in ALL {
        let f = features(7, 6, 1);
        let value = to_host(&loss(f.clone(), f, &groups(&[3, 4], (2.0, 7.0))))[0];
        assert!(value.abs() < 1e-12, "{name}: {value}");
        let value = to_host(&loss(features(7, 6, 1), features(7, 6, 2), &groups(&[3, 4], (2.0, 7.0))))[0];
        assert!(value > 1e-3, "{name}: {value}");
    }
}

#[test]
fn shards_add_up_to_the_batch() {
    let (s, t) = (features(9, 6, 1), features(9, 6, 2));
    let counts = (3.0, 9.0);
    for (name, loss) in &ALL[..3] {
        let whole = to_host(&loss(s.clone(), t.clone(), &groups(&[3, 4, 2], counts)))[0];
        let part = |start: usize, sizes: &[usize]| {
            let n = sizes.iter().sum();
            let cut = |x: &Tensor<2>| x.clone().narrow(0, start, n);
            to_host(&loss(cut(&s), cut(&t), &groups(sizes, counts)))[0]
        };
        let sum = part(0, &[3]) + part(3, &[4, 2]);
        assert!((whole - sum).abs() < 1e-12, "{name}: {whole} and {sum}");
    }
}

#[test]
fn systems_may_count_differently() {
    let (s, t) = (features(9, 6, 1), features(9, 6, 2));
    let counts = (3.0, 9.0);
    for (name, loss) in &ALL[..3] {
        let weights = vec![0.5, 2.0, 0.0];
        let whole = to_host(&loss(s.clone(), t.clone(), &groups(&[3, 4, 2], counts).weighted(Some(weights))))[0];
        let part = |start: usize, n: usize| {
            let cut = |x: &Tensor<2>| x.clone().narrow(0, start, n);
            to_host(&loss(cut(&s), cut(&t), &groups(&[n], counts)))[0]
        };
        let sum = 0.5 * part(0, 3) + 2.0 * part(3, 4);
        assert!((whole - sum).abs() < 1e-12, "{name}: {whole} and {sum}");
    }
}

#[test]
fn features_that_vanish_give_finite_gradients() {
    for (name, loss) in ALL {
        let zeros = (features(5, 6, 1) * 0.0).detach().require_grad();
        let value = loss(zeros.clone(), features(5, 6, 2), &groups(&[5], (1.0, 5.0)));
        let gradient = to_host(&zeros.grad(&value.backward()).expect("a gradient"));
        assert!(to_host(&value)[0].is_finite() && gradient.iter().all(|g| g.is_finite()), "{name}");
    }
}

#[test]
fn relations_do_not_need_equal_widths() {
    for (name, loss) in &ALL[1..] {
        let value = to_host(&loss(features(7, 6, 1), features(7, 9, 2), &groups(&[3, 4], (2.0, 7.0))))[0];
        assert!(value.is_finite() && value > 0.0, "{name}: {value}");
    }
}

/// Every name of a strategy with the one under which it is written.
const NAMES: [(&str, &str); 16] = [
    ("vanilla", "vanilla"),
    ("atomic_energy", "atomic_energy"),
    ("pae", "atomic_energy"),
    ("node_to_node", "node_to_node"),
    ("n2n", "node_to_node"),
    ("edge_to_node", "edge_to_node"),
    ("e2n", "edge_to_node"),
    ("edge_to_edge", "edge_to_edge"),
    ("e2e", "edge_to_edge"),
    ("vector_to_vector", "vector_to_vector"),
    ("v2v", "vector_to_vector"),
    ("vector_geometric", "vector_geometric"),
    ("local_preservation", "local_preservation"),
    ("global_preservation", "global_preservation"),
    ("cka", "cka"),
    ("hessian", "hessian"),
];

#[test]
fn names_in_configurations_are_those_of_the_strategies() {
    for (written, name) in NAMES {
        let key = if name == "vanilla" { "energy_weight" } else { "weight" };
        let term: Term = serde_json::from_value(serde_json::json!({ "strategy": written, key: 2.0 })).unwrap();
        assert_eq!(term.name(), name);
        let value = serde_json::to_value(&term).unwrap();
        assert_eq!((&value["strategy"], &value[key]), (&name.into(), &2.0.into()));
        assert_eq!(serde_json::to_value(term.scaled(0.5)).unwrap()[key], 1.0);
    }
}

#[test]
fn strategies_of_other_crates_are_written_but_not_read() {
    let own = Term::custom(super::Vanilla {
        energy_weight: 1.0,
        force_weight: 2.0,
        stress_weight: 0.0,
        schedule: Default::default(),
    });
    let value = serde_json::to_value(&own).unwrap();
    assert_eq!((&value["strategy"], &value["name"]), (&"custom".into(), &"vanilla".into()));
    assert_eq!(value["settings"]["force_weight"], 2.0);
    assert!(own == own.clone() && own != own.scaled(2.0) && own.is_active());
    let error = serde_json::from_value::<Term>(value).unwrap_err().to_string();
    assert!(
        error.starts_with("unknown variant `custom`, expected one of `vanilla`, `atomic_energy`, `pae`"),
        "{error}"
    );
    assert!(error.ends_with("`cka`, `hessian`"), "{error}");
}
