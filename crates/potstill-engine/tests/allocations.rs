//! What a call allocates once it has been made before.

mod support;

use allocation_counter::measure;
use potstill_core::model::{Architecture, PaiNNConfig, SchNetConfig};
use potstill_core::{Potential, Prediction, System};
use potstill_engine::{Engine, FilterChoice};
use potstill_testkit::systems::crystal;

use self::support::save;

/// Bytes of the arrays of an answer.
fn bytes(prediction: &Prediction) -> usize {
    let numbers = prediction.energy.len()
        + prediction.atomic_energies.len()
        + 3 * prediction.forces.len()
        + 9 * prediction.virial.as_ref().map_or(0, Vec::len);
    numbers * size_of::<f64>()
}

/// Bytes that a call allocates beyond its answer, when atoms have moved a little since the last.
fn beyond_the_answer(engine: &Engine<f32>, system: &mut System) -> usize {
    for _ in 0..3 {
        system.positions.iter_mut().flatten().for_each(|x| *x += 1e-3);
        engine.evaluate(&[system]).unwrap();
    }
    system.positions[0][0] += 1e-3;
    let mut answer = None;
    let found = measure(|| answer = Some(engine.evaluate(&[system]).unwrap()));
    found.bytes_total as usize - bytes(&answer.unwrap())
}

#[test]
fn a_call_allocates_its_answer_and_lists_of_tasks() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    let schnet = SchNetConfig { n_interactions: 3, cutoff: 4.0, ..SchNetConfig::default() };
    let painn = PaiNNConfig { n_layers: 3, cutoff: 4.0, ..PaiNNConfig::default() };
    for architecture in [Architecture::SchNet(schnet), Architecture::PaiNN(painn)] {
        save(&path, architecture, 0.0);
        let engine = Engine::<f32>::load(&path, FilterChoice::default()).unwrap();
        let (mut small, mut large) = (crystal(33, [true; 3], 1), crystal(60, [true; 3], 2));
        // Counted on this thread: with one thread a call stays where it was made. Both systems are cut into as many tasks.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let found = pool.install(|| [&mut small, &mut large].map(|system| beyond_the_answer(&engine, system)));
        assert!(found[0] < 16 << 10, "{} bytes beside the answer", found[0]);
        assert_eq!(found[0], found[1], "what is allocated does not grow with the system");
    }
}
