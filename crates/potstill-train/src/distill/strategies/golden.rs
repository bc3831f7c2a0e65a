//! Values and gradients of the reference implementation, in f64.

use burn::tensor::{DType, Device, Tensor};
use potstill_fixtures as fixtures;
use potstill_nn::tensors::{RowIndex, float_tensor, to_host};

use super::{cka, global_preservation as global, local_preservation as local, vector_geometric as geometric};
use crate::distill::groups::Groups;

const TOLERANCE: f64 = 1e-9;

#[test]
fn values_and_gradients_equal_the_reference() {
    let device = Device::flex().autodiff();
    for path in fixtures::files("kd_losses", ".json") {
        let case = path.display();
        let json = fixtures::json(&path);
        let tensors = fixtures::read(&path.with_extension("safetensors"));
        let sizes: Vec<usize> =
            json["sizes"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let edges = tensors["edge_index"].integers();
        let (source, target) = edges.split_at(edges.len() / 2);
        let index = |part: &[i64]| RowIndex::new(part.iter().map(|&i| i as i32).collect(), &device);
        let groups = Groups {
            systems: sizes.len() as f64,
            atoms: sizes.iter().sum::<usize>() as f64,
            edges: source.len() as f64,
            sizes,
            weights: None,
            source: index(source),
            target: index(target),
        };
        let rows = |name: &str| -> Tensor<2> {
            let tensor = &tensors[name];
            let n = tensor.shape[0];
            float_tensor(tensor.values.clone(), [n, tensor.values.len() / n], &device, DType::F64)
        };
        let mut n_run = 0;
        for entry in json["losses"].as_array().unwrap() {
            let name = entry["loss"].as_str().unwrap();
            let (feature, target) = match name {
                _ if name.ends_with("_d1M") => continue,
                _ if name.starts_with("edge_") => ("n2e_feature", "e2n_feature"),
                _ if name.starts_with("vec") => ("vector_feature", "vector_feature"),
                _ => ("node_feature", "node_feature"),
            };
            let leaf = rows(&format!("student.{feature}")).require_grad();
            let (ours, theirs) = (leaf.clone(), rows(&format!("teacher.{target}")));
            let value = match name {
                "vec2vec_geometric" => {
                    let direction = entry["distillation"]["v2v_geom_lambda"].as_f64().unwrap();
                    geometric::loss(ours, theirs, direction, &groups)
                }
                _ if name.contains("global") => global::loss(ours, theirs, &groups),
                _ if name.contains("local") => local::loss(ours, theirs, &groups),
                _ if name.contains("cka") => cka::loss(ours, theirs, &groups),
                _ => continue,
            };
            let (got, expected) = (to_host(&value)[0], entry["value"].as_f64().unwrap());
            assert!((got / expected - 1.0).abs() < TOLERANCE, "{case}, {name}: {got} instead of {expected}");
            let got = to_host(&leaf.grad(&value.backward()).expect("a gradient"));
            let expected = &tensors[&format!("grad.{}.{feature}", entry["index"])];
            let difference = expected.relative_difference(&got);
            assert!(difference < TOLERANCE, "{case}, {name}: gradient off by {difference:e}");
            n_run += 1;
        }
        // 4 geometric, 3 global, 2 local, 1 alignment.
        assert_eq!(n_run, 10, "{case}");
    }
}
