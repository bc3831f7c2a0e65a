//! Runs of several processes, for which threads stand in: they are the run of one process, bit for bit.

mod support;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use potstill_core::Result;
use potstill_core::ranks::Ranks;
use potstill_data::dataset::Systems;
use potstill_data::io::{LabelKeys, StoredFile, write};
use potstill_nn::device::cpu;
use potstill_testkit::ranks::together;
use potstill_train::augment::{Attack, AttackRule, Copies, Jitter, JitterMode};
use potstill_train::config::Config;
use potstill_train::distill::strategies::{AtomicEnergy, NodeToNode, Vanilla};
use potstill_train::distill::{Augmentation, DistillConfig, FeatureTerm, Term, Weight, WeightSchedule};
use potstill_train::folder::{RunFolder, Start};
use potstill_train::observer::{Ending, Silent};
use potstill_train::run::{Data, Surroundings, train_on};
use potstill_train::trainer::Summary;
use rayon::ThreadPoolBuilder;
use support::{Watcher, assert_same, config, data, painn, schnet, systems, write_teacher};

/// One process of a run.
fn train_as(ranks: &dyn Ranks, config: &Config, data: Data, folder: &Path, start: Start) -> Result<Summary> {
    let folder = RunFolder::open_among(ranks, folder, start)?;
    let (device, interrupt) = (cpu(), AtomicBool::new(false));
    let surroundings = Surroundings { device: &device, ranks, folder: &folder, interrupt: &interrupt, tell: &|_| {} };
    train_on(surroundings, config, data, &mut Silent)
}

/// Runs as so many processes, each of so many threads.
fn run_as(n_ranks: usize, n_threads: usize, config: &Config, folder: &Path, start: Start) -> Summary {
    let summaries = together(n_ranks, |ranks| {
        let pool = ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| train_as(ranks, config, data(), folder, start).unwrap())
    });
    assert!(
        summaries.iter().all(|summary| summary.ending == summaries[0].ending && summary.steps == summaries[0].steps)
    );
    summaries[0].clone()
}

fn sharded(mut config: Config) -> Config {
    (config.training.batch_size, config.training.shards) = (5, Some(4));
    config
}

#[test]
fn the_number_of_processes_changes_no_bit() {
    for model in [painn(), schnet()] {
        let place = tempfile::tempdir().unwrap();
        let config = sharded(config(model));
        let whole = place.path().join("1");
        assert_eq!(run_as(1, 1, &config, &whole, Start::New).ending, Ending::Finished);
        for n_ranks in [2, 3, 4, 6] {
            let folder = place.path().join(n_ranks.to_string());
            run_as(n_ranks, 2, &config, &folder, Start::New);
            assert_same(&whole, &folder, &format!("{n_ranks} processes"));
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let place = tempfile::tempdir().unwrap();
    let config = sharded(config(painn()));
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    run_as(1, 1, &config, &whole, Start::New);
    for (n_ranks, stop) in [(2, Some(3)), (1, Some(5)), (4, None)] {
        let mut part = config.clone();
        part.training.max_steps = stop;
        run_as(n_ranks, 1, &part, &parts, Start::Resume);
    }
    assert_same(&whole, &parts, "2, 1, then 4 processes");
}

#[test]
fn distillation_changes_no_bit() {
    let place = tempfile::tempdir().unwrap();
    let teacher = place.path().join("teacher.safetensors");
    write_teacher(&teacher, 9, &["H", "C", "N", "O"]);
    let atomic = || Term::AtomicEnergy(AtomicEnergy { weight: 1.0.into(), schedule: WeightSchedule::Constant });
    let terms = vec![
        Term::Vanilla(Vanilla {
            energy_weight: 1.0,
            force_weight: 1.0,
            stress_weight: 0.0,
            schedule: WeightSchedule::Constant,
        }),
        Term::NodeToNode(NodeToNode(FeatureTerm { weight: Weight::Auto(1.0), ..FeatureTerm::new(1.0) })),
    ];
    let jitter = Copies::RandomJitter(Jitter { std: 0.05, mode: JitterMode::Free, fixed_length: None });
    let attack = Copies::Adversarial(Attack {
        rule: AttackRule::Ball { learning_rate: 0.1, length: 0.1 },
        steps: 2,
        start_std: 0.02,
        teacher_gradient: true,
        force_regularization: 0.1,
        accumulate: false,
    });
    for (name, copies) in [("none", None), ("jitter", Some(jitter)), ("attack", Some(attack))] {
        let with = |n_ranks: usize| {
            let folder = place.path().join(format!("{name}-{n_ranks}"));
            let mut config = sharded(config(painn()));
            config.training.epochs = 2;
            config.distill = Some(DistillConfig {
                augmentation: copies.clone().map(|copies| Augmentation {
                    copies,
                    terms: vec![atomic()],
                    min_distance: 0.1,
                }),
                ..DistillConfig::new(teacher.clone(), terms.clone())
            });
            run_as(n_ranks, 1, &config, &folder, Start::New);
            folder
        };
        let whole = with(1);
        for n_ranks in [2, 4] {
            assert_same(&whole, &with(n_ranks), &format!("{name}, {n_ranks} processes"));
        }
    }
}

/// A process with another share of a batch reads other systems; one without a share reads none, not even to look over them.
#[test]
fn systems_on_disk_are_read_by_rank_0_and_by_whoever_learns_from_them() {
    let place = tempfile::tempdir().unwrap();
    let teacher = place.path().join("teacher.safetensors");
    write_teacher(&teacher, 9, &["H", "C", "N", "O"]);
    let mut config = config(painn());
    config.training.shards = Some(1);
    config.distill = Some(DistillConfig::new(teacher, vec![Term::NodeToNode(NodeToNode(FeatureTerm::new(0.5)))]));
    let whole = place.path().join("whole");
    run_as(1, 1, &config, &whole, Start::New);
    let folder = place.path().join("parts");
    together(2, |ranks| {
        let path = place.path().join(format!("train-{}.extxyz", ranks.rank()));
        let mut writer = write(&path).unwrap();
        data().train.as_slice().unwrap().iter().for_each(|system| writer.write(system).unwrap());
        writer.finish().unwrap();
        let train = Systems::stored(vec![StoredFile::open(&path, &LabelKeys::default(), None, &|_| {}).unwrap()]);
        if ranks.rank() == 1 {
            let length = std::fs::metadata(&path).unwrap().len() as usize;
            std::fs::write(&path, vec![b' '; length]).unwrap();
            assert!(train.get(0).is_err());
        }
        train_as(ranks, &config, Data { train, ..data() }, &folder, Start::New).unwrap();
    });
    assert_same(&whole, &folder, "one of two processes reads");
}

#[test]
fn processes_of_different_settings_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let messages = together(2, |ranks| {
        let mut config = sharded(config(painn()));
        config.training.learning_rate *= 1.0 + ranks.rank() as f64;
        // Rank 0 waits for the other one, which is to end both.
        match ranks.rank() {
            0 => {
                let folder = RunFolder::open_among(ranks, place.path(), Start::New).map(|_| String::new());
                (ranks as &dyn Ranks).shared(b"other settings".to_vec());
                folder.unwrap()
            }
            _ => train_as(ranks, &config, data(), place.path(), Start::New).unwrap_err().to_string(),
        }
    });
    assert!(messages[1].contains("rank 1: another version"), "{}", messages[1]);
}

#[test]
fn without_shards_processes_have_one_for_each_thread() {
    let place = tempfile::tempdir().unwrap();
    let [default, named] = ["default", "named"].map(|name| place.path().join(name));
    let mut config = config(painn());
    config.training.batch_size = 8;
    run_as(2, 1, &config, &default, Start::New);
    config.training.shards = Some(2);
    run_as(1, 1, &config, &named, Start::New);
    assert_same(&default, &named, "2 processes");
}

#[test]
fn one_interrupted_process_leads_all_to_the_end() {
    let place = tempfile::tempdir().unwrap();
    let config = sharded(config(painn()));
    let summaries = together(2, |ranks| {
        let folder = RunFolder::open_among(ranks, place.path(), Start::New).unwrap();
        let (device, interrupt) = (cpu(), AtomicBool::new(false));
        let surroundings =
            Surroundings { device: &device, ranks, folder: &folder, interrupt: &interrupt, tell: &|_| {} };
        let interrupt_at = (ranks.rank() == 0).then_some((3, &interrupt));
        let mut watcher = Watcher { interrupt_at, ..Watcher::default() };
        let data = Data { train: systems(10, 100).into(), ..Data::default() };
        train_on(surroundings, &config, data, &mut watcher).unwrap()
    });
    assert!(summaries.iter().all(|summary| summary.ending == Ending::Interrupted && summary.steps == 3));
}
