//! Structures for the first training: the seeds, displaced, relaxed and in motion under the teacher.

use potstill_core::system::Value;
use potstill_core::{Potential, Result, System};

use crate::distill::RoundsConfig;
use crate::generate::{Dynamics, Limits, Method, Rattle, Rejected, Relax, generate, label};

/// Displacements in Å: standard deviations of a component.
const DISPLACEMENTS: [f64; 3] = [0.03, 0.08, 0.16];
/// Displacement in Å before a relaxation, and its steps.
const RELAXED: (f64, usize) = (0.2, 5);
/// Temperature in K at which no Boltzmann factor throws a structure away: what a few steps leave is far from equilibrium.
const ANY: f64 = 1e9;
/// Snapshots of a trajectory of the teacher.
const SNAPSHOTS: usize = 5;
/// Steps before the first snapshot, and between two.
const STEPS: [usize; 2] = [40, 20];
/// Time in fs in which the heat bath replaces velocities.
const FRICTION_TIME: f64 = 100.0;
/// Times that the teacher is asked for each structure, about, where it runs dynamics of its own.
pub const CALLS_PER_LABEL: f64 = 10.0;

/// About as many structures as asked for, labelled by the teacher, and what was thrown away; the same for the same `seed`.
///
/// # Errors
/// What the teacher refuses, naming the seed.
pub fn structures(
    teacher: &dyn Potential,
    seeds: &[System],
    rounds: &RoundsConfig,
    n: usize,
    seed: u64,
) -> Result<(Vec<System>, Rejected)> {
    let own: Vec<System> = spread(seeds.len(), (n / 4).max(1)).into_iter().map(|i| as_seed(seeds, i)).collect();
    let (mut made, mut rejected) = label(teacher, &own, &Limits::default())?;
    let rest = n.saturating_sub(made.len()) as f64;
    for (number, (method, share)) in methods(rounds).into_iter().enumerate() {
        let [wanted, n_starts] = wanted_of(&method, rest * share, seeds.len());
        if n_starts == 0 {
            continue;
        }
        let chosen = spread(seeds.len(), n_starts);
        let starts: Vec<System> = (0..n_starts).map(|k| seeds[chosen[k % chosen.len()]].clone()).collect();
        let stream = seed.wrapping_mul(1000).wrapping_add(number as u64);
        let (systems, thrown_away) = generate(
            teacher,
            (&starts, 0..starts.len()),
            &method,
            wanted.div_ceil(n_starts),
            &Limits::default(),
            stream,
            &|_| {},
        )?;
        rejected.add(thrown_away);
        let told = systems.into_iter().take(wanted).map(|mut system| {
            if let Some(Value::Int(start)) = system.metadata.get_mut("seed_system") {
                *start = chosen[*start as usize % chosen.len()] as i64;
            }
            system
        });
        made.extend(told);
    }
    Ok((made, rejected))
}

/// Structures that a method is to make, and seeds that it starts from.
fn wanted_of(method: &Method, share: f64, n_seeds: usize) -> [usize; 2] {
    let wanted = share.ceil() as usize;
    let n_starts = match method {
        Method::Dynamics(_) => wanted.div_ceil(SNAPSHOTS),
        _ => wanted.min(n_seeds),
    };
    [wanted, n_starts]
}

/// Times that [`structures`] asks the teacher for `n` structures, at most.
pub fn n_calls(rounds: &RoundsConfig, n_seeds: usize, n: usize) -> usize {
    let own = n_seeds.min((n / 4).max(1));
    let rest = n.saturating_sub(own) as f64;
    let of = |(method, share): (Method, f64)| {
        let [wanted, n_starts] = wanted_of(&method, rest * share, n_seeds);
        let each = wanted.div_ceil(n_starts.max(1));
        // Each start is asked about, too, and again where dynamics begin.
        n_starts
            * match method {
                Method::Dynamics(dynamics) => 2 + dynamics.equilibration + each * dynamics.interval,
                Method::RattleRelax(_, relax) => 1 + each * (relax.steps + 1),
                Method::Rattle(_) | Method::Collision(_) => 1 + each,
            }
    };
    own + methods(rounds).into_iter().map(of).sum::<usize>()
}

/// Ways to make structures, and their shares.
fn methods(rounds: &RoundsConfig) -> Vec<(Method, f64)> {
    let displaced = |share: f64| DISPLACEMENTS.map(|std| (Method::Rattle(Rattle { std }), share / 3.0));
    if !rounds.teacher_dynamics {
        return displaced(1.0).into();
    }
    let n = rounds.temperatures.len() as f64;
    let relax = Relax { steps: RELAXED.1, temperature: ANY };
    let dynamics = rounds.temperatures.iter().map(|&temperature| {
        let [equilibration, interval] = STEPS;
        let dynamics =
            Dynamics { temperature, timestep: rounds.timestep, friction_time: FRICTION_TIME, equilibration, interval };
        (Method::Dynamics(dynamics), 0.3 / n)
    });
    let relaxed = (Method::RattleRelax(Rattle { std: RELAXED.0 }, relax), 0.2);
    displaced(0.5).into_iter().chain([relaxed]).chain(dynamics).collect()
}

/// A seed as a structure of its own.
fn as_seed(seeds: &[System], index: usize) -> System {
    let mut system = seeds[index].clone();
    let name = system.name();
    system.columns.retain(|column, values| values.is_label(column));
    system.metadata.remove("name");
    system.metadata.insert("generated_by".to_owned(), Value::Text("seed".to_owned()));
    system.metadata.insert("seed_system".to_owned(), Value::Int(index as i64));
    system.metadata.extend(name.map(|name| ("seed_name".to_owned(), Value::Text(name))));
    system
}

/// Indices of at most `n` of `total` seeds, evenly spread.
fn spread(total: usize, n: usize) -> Vec<usize> {
    let n = n.min(total);
    (0..n).map(|k| k * total / n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all() {
        for teacher_dynamics in [true, false] {
            let rounds = RoundsConfig { teacher_dynamics, ..RoundsConfig::default() };
            let sum: f64 = methods(&rounds).iter().map(|(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        }
        let many = n_calls(&RoundsConfig::default(), 20, 1000) as f64 / 1000.0;
        assert!((many / CALLS_PER_LABEL - 1.0).abs() < 0.2, "{many}");
        assert_eq!(spread(10, 3), [0, 3, 6]);
        assert_eq!(spread(2, 3), [0, 1]);
    }
}
