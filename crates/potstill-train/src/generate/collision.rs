//! Molecules shot at each other, with the teacher's forces; how the structures of the COLL dataset were made.

use potstill_core::system::{Value, Vec3};
use potstill_core::{Error, Result, System};
use rand::{Rng, RngExt};

use super::Context;
use potstill_simulate::{ACCELERATION, Dynamics, DynamicsSettings, Ensemble, State, standard_normal};

/// Settings of collisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collision {
    /// Temperature of the motion within each molecule at the start, in K.
    pub temperature: f64,
    /// Range of the kinetic energy of the approach in eV, from which each collision draws.
    pub energy: [f64; 2],
    /// Largest distance in Å at which the centres of mass would pass each other; each collision draws its own.
    pub impact_parameter: f64,
    /// Closest distance of two atoms of different molecules at the start in Å.
    pub gap: f64,
    /// Time step in fs.
    pub timestep: f64,
    /// Steps between two snapshots.
    pub interval: usize,
    /// Snapshots of each collision.
    pub snapshots: usize,
}

/// Molecules that are farther apart than at the start by this factor have parted.
const PARTED: f64 = 2.0;

/// `n` snapshots, of as many collisions of `origin` with random partners as that takes.
pub(super) fn run(
    context: &mut Context<'_>,
    origin: &System,
    partners: &[System],
    settings: &Collision,
    n: usize,
    rng: &mut impl Rng,
) -> Result<Vec<System>> {
    let mut kept = Vec::new();
    let mut asked = 0;
    while asked < n {
        let snapshots = settings.snapshots.max(1).min(n - asked);
        asked += snapshots;
        let partner = rng.random_range(0..partners.len());
        kept.extend(collide(context, origin, (partner, &partners[partner]), settings, snapshots, rng)?);
    }
    Ok(kept)
}

fn collide(
    context: &mut Context<'_>,
    origin: &System,
    (index, partner): (usize, &System),
    settings: &Collision,
    n: usize,
    rng: &mut impl Rng,
) -> Result<Vec<System>> {
    if origin.is_periodic() || partner.is_periodic() {
        return Err(Error::Other("a periodic system cannot collide; give molecules, or use another method".to_owned()));
    }
    let [mut ours, mut theirs] =
        [molecule(origin, settings.temperature, rng)?, molecule(partner, settings.temperature, rng)?];
    let [low, high] = settings.energy;
    let energy = low + (high - low) * rng.random::<f64>();
    // Uniform over the area of the target.
    let impact = settings.impact_parameter * rng.random::<f64>().sqrt();
    approach(&ours.system, &mut theirs.system, impact, settings.gap);
    let [own, other] = [&ours, &theirs].map(|state| state.masses.iter().sum::<f64>());
    let speed = (2.0 * energy * ACCELERATION * (own + other) / (own * other)).sqrt();
    ours.velocities.iter_mut().for_each(|v| v[0] += speed * other / (own + other));
    theirs.velocities.iter_mut().for_each(|v| v[0] -= speed * own / (own + other));
    let n_ours = ours.masses.len();
    let mut state = ours.joined(theirs);

    state.system.metadata.clear();
    let metadata = [
        ("partner_system".to_owned(), Value::Int(index as i64)),
        ("collision_energy_eV".to_owned(), Value::Real(energy)),
        ("impact_parameter_A".to_owned(), Value::Real(impact)),
        ("temperature_K".to_owned(), Value::Real(settings.temperature)),
    ];
    state.system.metadata.extend(metadata);
    shoot(context, state, n_ours, settings, n)
}

/// `n` snapshots at constant energy, or fewer where the structure leaves the limits or the molecules have parted.
fn shoot(
    context: &mut Context<'_>,
    state: State,
    n_ours: usize,
    settings: &Collision,
    n: usize,
) -> Result<Vec<System>> {
    let mut nve = DynamicsSettings::new(Ensemble::Nve, settings.timestep);
    // Too short for the energy to drift, and the motion as a whole was taken out of each molecule by itself.
    (nve.accept_direct_forces, nve.remove_drift, nve.remove_rotation) = (true, false, false);
    let guard = context.guard();
    let mut kept = Vec::new();
    let mut dynamics = match Dynamics::new(&guard, vec![state], nve) {
        Ok(dynamics) => dynamics,
        Err(error) => return context.end(&guard, error).map(|()| kept),
    };
    context.start_energy = dynamics.prediction().energy[0];
    for step in 1..=n * settings.interval.max(1) {
        if let Err(error) = dynamics.step() {
            context.end(&guard, error)?;
            break;
        }
        if step.is_multiple_of(settings.interval.max(1)) {
            let mut snapshot = dynamics.states()[0].system.clone();
            snapshot.metadata.insert("time_fs".to_owned(), Value::Real(step as f64 * settings.timestep));
            let (one, other) = snapshot.positions.split_at(n_ours);
            let have_parted = closest(one, other) > PARTED * settings.gap;
            match context.label(snapshot, dynamics.prediction_of(0)) {
                Some(snapshot) => kept.push(snapshot),
                None => break,
            }
            if have_parted {
                break;
            }
        }
    }
    Ok(kept)
}

/// A molecule at the origin, turned at random, with thermal velocities and no momentum.
fn molecule(origin: &System, temperature: f64, rng: &mut impl Rng) -> Result<State> {
    let bare = System {
        atomic_numbers: origin.atomic_numbers.clone(),
        positions: origin.positions.clone(),
        ..System::default()
    };
    let mut state = State::thermal(&bare, temperature, rng)?;
    let place = state.mass_weighted_mean(&state.system.positions);
    let turn = rotation(rng);
    for position in &mut state.system.positions {
        let from: Vec3 = std::array::from_fn(|c| position[c] - place[c]);
        *position = turn.map(|row| row.iter().zip(&from).map(|(a, b)| a * b).sum());
    }
    state.remove_drift();
    Ok(state)
}

/// A random rotation: that of a quaternion with normal components (K. Shoemake, Graphics Gems III, 1992).
fn rotation(rng: &mut impl Rng) -> [Vec3; 3] {
    let q: [f64; 4] = std::array::from_fn(|_| standard_normal(rng));
    let length = q.iter().map(|c| c * c).sum::<f64>().sqrt();
    let [w, x, y, z] = q.map(|c| c / length);
    [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
        [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
        [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
    ]
}

fn closest(one: &[Vec3], other: &[Vec3]) -> f64 {
    let square = |a: &Vec3, b: &Vec3| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>();
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| square(a, b)));
    pairs.fold(f64::INFINITY, f64::min).sqrt()
}

/// Puts the partner along x, aside by the impact parameter, as near as the gap allows.
fn approach(own: &System, partner: &mut System, impact: f64, gap: f64) {
    let extent =
        |s: &System| s.positions.iter().map(|x| x.iter().map(|c| c * c).sum::<f64>().sqrt()).fold(0.0, f64::max);
    let place =
        |offset: f64| -> Vec<Vec3> { partner.positions.iter().map(|x| [x[0] + offset, x[1] + impact, x[2]]).collect() };
    // From where they cannot touch, halving the interval to where the closest atoms are at the gap; if they would pass
    // each other farther away than that, side by side.
    let (mut near, mut far) = (0.0, extent(own) + extent(partner) + gap);
    for _ in 0..60 {
        let middle = 0.5 * (near + far);
        match closest(&own.positions, &place(middle)) < gap {
            true => near = middle,
            false => far = middle,
        }
    }
    partner.positions = place(far);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn partners_start_at_the_gap() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let line = |n: usize| System {
            atomic_numbers: vec![6; n],
            positions: (0..n).map(|i| [1.4 * i as f64, 0.1 * i as f64, 0.0]).collect(),
            ..System::default()
        };
        for n in 1..7 {
            let [own, mut other] = [n, 3].map(|n| molecule(&line(n), 300.0, &mut rng).unwrap());
            approach(&own.system, &mut other.system, 0.5, 2.5);
            assert!((closest(&own.system.positions, &other.system.positions) - 2.5).abs() < 1e-9, "{n}");
            for state in [&own, &other] {
                let momentum: f64 = state.velocities.iter().zip(&state.masses).map(|(v, m)| m * v[1]).sum();
                assert!(momentum.abs() < 1e-12);
            }
        }
    }
}
