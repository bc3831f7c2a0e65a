use proptest::prelude::*;

use super::*;
use crate::dataset::elements;
use potstill_core::system::Value;

fn system(atomic_numbers: &[u8], energy: Option<f64>) -> System {
    let positions = vec![[0.0; 3]; atomic_numbers.len()];
    System { atomic_numbers: atomic_numbers.to_vec(), positions, energy, ..System::default() }
}

fn complaint(source: &ReferenceEnergies, systems: &[System]) -> String {
    source.fit(systems).unwrap_err().to_string()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Config {
    reference_energies: ReferenceEnergies,
}

fn read(text: &str) -> Result<ReferenceEnergies, String> {
    let config = toml::from_str::<Config>(&format!("reference_energies = {text}"));
    config.map(|c| c.reference_energies).map_err(|e| e.message().to_string())
}

#[test]
fn toml_takes_a_word_or_a_table() {
    assert_eq!(read("\"none\""), Ok(ReferenceEnergies::None));
    assert_eq!(read("\"isolated_atoms\""), Ok(ReferenceEnergies::IsolatedAtoms));
    assert_eq!(read("\"least_squares\""), Ok(ReferenceEnergies::LeastSquares));
    let table = ReferenceEnergies::Table(ElementEnergies::new([(1, -13.57), (6, -1026.0)]));
    assert_eq!(read("{ H = -13.57, C = -1026 }"), Ok(table.clone()));
    for source in [ReferenceEnergies::None, ReferenceEnergies::IsolatedAtoms, ReferenceEnergies::LeastSquares, table] {
        let config = Config { reference_energies: source };
        assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}

#[test]
fn wrong_toml_is_explained() {
    let wrong = read("\"least_square\"").unwrap_err();
    assert!(wrong.contains("expected \"none\", \"isolated_atoms\", \"least_squares\" or a table"), "{wrong}");
    assert!(wrong.ends_with("; did you mean \"least_squares\"?"), "{wrong}");
    let wrong = read("\"mean field\"").unwrap_err();
    assert!(wrong.ends_with("expected \"none\", \"isolated_atoms\", \"least_squares\" or a table"), "{wrong}");
    assert_eq!(read("{ Xx = 1.0 }").unwrap_err(), "unknown element `Xx`");
    assert_eq!(read("{ H = nan }").unwrap_err(), "energy of H is NaN; it must be finite");
    assert!(read("3").is_err());
}

#[test]
fn totals_ignore_the_order_of_atoms_and_name_unknown_elements() {
    let energies = ElementEnergies::new([(1, 0.1), (8, 0.7)]);
    assert!(close(energies.total(&[1, 8, 1]).unwrap(), 0.9, 1e-15));
    assert_eq!(energies.total(&[1, 8, 1]).unwrap().to_bits(), energies.total(&[8, 1, 1]).unwrap().to_bits());
    assert_eq!(energies.total(&[]).unwrap(), 0.0);
    assert_eq!(energies.total(&[78]).unwrap_err().to_string(), "no reference energy for Pt; known: H, O");
    assert_eq!(serde_json::to_string(&energies).unwrap(), r#"{"H":0.1,"O":0.7}"#);
}

#[test]
fn none_is_zero_for_every_element_of_the_data() {
    let fit = ReferenceEnergies::None.fit(&[system(&[1, 8], None)]).unwrap();
    assert_eq!(fit.energies, ElementEnergies::new([(1, 0.0), (8, 0.0)]));
}

#[test]
fn a_table_must_cover_the_data() {
    let table = ReferenceEnergies::Table(ElementEnergies::new([(1, -13.0), (2, 0.0)]));
    assert_eq!(table.fit(&[system(&[1], None)]).unwrap().energies.get(1), Some(-13.0));
    assert_eq!(
        complaint(&table, &[system(&[1, 8, 6], None)]),
        "reference_energies: no energy for C, O, found in the data; \
         add them to the table, or use \"least_squares\""
    );
}

#[test]
fn isolated_atoms_are_found() {
    let mut periodic = system(&[8], Some(-2037.0));
    periodic.cell = Some([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]);
    periodic.pbc = [true; 3];
    let systems = [system(&[8, 1, 1], Some(-2080.0)), system(&[1], Some(-13.5)), periodic.clone()];
    let source = ReferenceEnergies::IsolatedAtoms;
    assert_eq!(
        complaint(&source, &systems),
        "reference_energies: no isolated atom of O, found in the data; add systems of one atom with an energy and \
         without pbc, or use \"least_squares\" or a table"
    );
    periodic.metadata.insert("config_type".into(), Value::Text("IsolatedAtom".into()));
    let fit = source.fit(&[systems[0].clone(), systems[1].clone(), periodic]).unwrap();
    assert_eq!(fit.energies, ElementEnergies::new([(1, -13.5), (8, -2037.0)]));
    assert_eq!(fit.isolated_systems, [1, 2]);
}

#[test]
fn isolated_atoms_that_disagree_are_named() {
    let systems = [system(&[1], Some(-13.5)), system(&[1], Some(-13.5)), system(&[1], Some(-12.0))];
    assert_eq!(
        complaint(&ReferenceEnergies::IsolatedAtoms, &systems),
        "system 2: isolated H has -12 eV, but -13.5 eV in system 0; keep one"
    );
}

#[test]
fn least_squares_recovers_additive_energies() {
    let (h, c, o) = (-13.568, -1026.854, -2037.797);
    let make = |n: [usize; 3]| {
        let numbers = [vec![1; n[0]], vec![6; n[1]], vec![8; n[2]]].concat();
        system(&numbers, Some(n[0] as f64 * h + n[1] as f64 * c + n[2] as f64 * o))
    };
    let systems = [make([2, 0, 1]), make([4, 1, 0]), make([0, 1, 2]), make([6, 2, 1])];
    let fit = ReferenceEnergies::LeastSquares.fit(&systems).unwrap();
    assert!(!fit.underdetermined);
    for (z, energy) in [(1, h), (6, c), (8, o)] {
        assert!(close(fit.energies.get(z).unwrap(), energy, 1e-9), "{z}");
    }
}

#[test]
fn one_composition_gives_the_shortest_solution() {
    let systems = [system(&[8, 1, 1], Some(-10.0)), system(&[1, 8, 1], Some(-12.0))];
    let fit = ReferenceEnergies::LeastSquares.fit(&systems).unwrap();
    assert!(fit.underdetermined);
    assert!(close(fit.energies.get(1).unwrap(), -4.4, 1e-12));
    assert!(close(fit.energies.get(8).unwrap(), -2.2, 1e-12));
    assert!(close(fit.energies.total(&[8, 1, 1]).unwrap(), -11.0, 1e-12));
}

#[test]
fn least_squares_needs_energies() {
    let systems = [system(&[1, 1], Some(-30.0)), system(&[8], None)];
    assert_eq!(
        complaint(&ReferenceEnergies::LeastSquares, &systems),
        "reference_energies: no system with an energy holds O, found in the data; \
         give energies, or use \"none\" or a table"
    );
    let broken = [system(&[1], Some(f64::NAN))];
    assert_eq!(
        complaint(&ReferenceEnergies::LeastSquares, &broken),
        "system 0: energy is NaN; correct the label or remove it"
    );
}

proptest! {
    #[test]
    fn least_squares_residuals_are_orthogonal_to_compositions(
        data in prop::collection::vec((prop::collection::vec(1u8..7, 1..20), -5000.0f64..0.0), 1..40),
    ) {
        let systems: Vec<System> = data.iter().map(|(numbers, energy)| system(numbers, Some(*energy))).collect();
        let fit = ReferenceEnergies::LeastSquares.fit(&systems).unwrap();
        for z in elements(&systems) {
            let product: f64 = data.iter().map(|(numbers, energy)| {
                let count = numbers.iter().filter(|&&n| n == z).count() as f64;
                count * (energy - fit.energies.total(numbers).unwrap())
            }).sum();
            prop_assert!(product.abs() < 1e-5, "{}: {}", z, product);
        }
    }
}
