//! Fingerprint of a structure: 48 bytes that turning, shifting and reordering leave as they are.

use std::f64::consts::TAU;
use std::hash::{DefaultHasher, Hash, Hasher};

use potstill_core::System;
use potstill_core::graph::frame::Frame;
use potstill_core::system::{Vec3, dot};

/// Eight invariants of a structure and a hash of what it is made of.
///
/// Each invariant is a length in Å whose error is about that of a coordinate: structures that differ by the rounding of
/// coordinates to five decimals or more, after any rotation, translation and renumbering of equal atoms, are
/// [the same](Self::is_same); so may be those whose atoms are a thousandth of an Å apart, others hardly ever. Without periodic
/// boundaries the invariants are moments of the distances from three centres and Fourier sums over distances; with them, structure factors, which wrapping does not change either. Computing them is linear in
/// the number of atoms, but for molecules of up to 128.
///
/// A structure and its mirror image are the same, as they are for the networks here. Another choice of lattice vectors
/// for one crystal, a supercell for example, is another structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fingerprint {
    /// Hash of composition and periodic directions.
    kind: u64,
    /// Hash of every number of the structure.
    exact: u64,
    /// Invariants of the structure; see the head of this file.
    invariants: [f32; 8],
}

impl Fingerprint {
    /// Largest difference of invariants of the same structure in Å.
    pub const TOLERANCE: f32 = 2e-5;

    /// Fingerprint of a structure; labels and metadata play no part.
    pub fn new(system: &System) -> Self {
        let frame = if system.is_periodic() { Frame::new(system).ok() } else { None };
        let invariants = match &frame {
            Some(frame) => periodic(system, frame),
            None => free(system),
        };
        let mut kind = DefaultHasher::new();
        (composition_hash(system), frame.map(|_| system.pbc)).hash(&mut kind);
        Self { kind: kind.finish(), exact: exact_hash(system), invariants: invariants.map(|x| x as f32) }
    }

    /// Whether two structures are the same up to rotation, reflection, translation and the order of atoms.
    pub fn is_same(&self, other: &Self) -> bool {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= Self::TOLERANCE;
        self.kind == other.kind && self.invariants.iter().zip(&other.invariants).all(near)
    }

    /// Whether two structures are equal to the last bit.
    pub fn is_identical(&self, other: &Self) -> bool {
        self.kind == other.kind && self.exact == other.exact
    }

    /// Brings what may be the same together.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.kind.cmp(&other.kind).then(self.invariants[0].total_cmp(&other.invariants[0]))
    }

    /// Whether the first invariants are so far apart that nothing behind them in [`Self::order`] can be the same.
    pub(super) fn is_beyond(&self, earlier: &Self) -> bool {
        // Written so that a difference that is not a number ends the search.
        let is_near = self.invariants[0] - earlier.invariants[0] <= Self::TOLERANCE;
        self.kind != earlier.kind || !is_near
    }
}

/// Hash of how often each element occurs.
pub(super) fn composition_hash(system: &System) -> u64 {
    let mut counts = [0_u32; 256];
    system.atomic_numbers.iter().for_each(|&z| counts[usize::from(z)] += 1);
    let mut hasher = DefaultHasher::new();
    counts.hash(&mut hasher);
    hasher.finish()
}

fn exact_hash(system: &System) -> u64 {
    let mut hasher = DefaultHasher::new();
    system.atomic_numbers.hash(&mut hasher);
    // Zero and minus zero are the same place.
    let mut put = |rows: &[Vec3]| rows.as_flattened().iter().for_each(|x| (x + 0.0).to_bits().hash(&mut hasher));
    put(&system.positions);
    if system.is_periodic() {
        system.cell.iter().for_each(|cell| put(cell));
    }
    hasher.finish()
}

/// A weight of an element that no other has, between a half and three halves.
fn weight(z: u8) -> f64 {
    0.5 + (f64::from(z) * 0.618_033_988_749_895).fract()
}

/// Second weight of an element, independent of the first.
fn other_weight(z: u8) -> f64 {
    0.5 + (f64::from(z) * std::f64::consts::SQRT_2).fract()
}

/// Square of a distance.
fn square(a: &Vec3, b: &Vec3) -> f64 {
    (0..3).map(|k| (a[k] - b[k]) * (a[k] - b[k])).sum()
}

/// Weighted mean of positions.
fn centre(atomic_numbers: &[u8], positions: &[Vec3], weight: impl Fn(u8, &Vec3) -> f64) -> Vec3 {
    let (mut sum, mut total) = ([0.0; 3], 0.0);
    for (&z, position) in atomic_numbers.iter().zip(positions) {
        let w = weight(z, position);
        total += w;
        (0..3).for_each(|k| sum[k] += w * position[k]);
    }
    // Where nothing has a weight, all atoms are at one place.
    if total == 0.0 { positions.first().copied().unwrap_or_default() } else { sum.map(|s| s / total) }
}

/// Moments of the distances from the centre of all atoms, from that of weighted atoms, and from that of outer atoms, which
/// no symmetry of the others puts at the same place.
fn free(system: &System) -> [f64; 8] {
    let (z, positions) = (&system.atomic_numbers, &system.positions);
    let n = system.n_atoms() as f64;
    let plain = centre(z, positions, |_, _| 1.0);
    let weighted = centre(z, positions, |z, _| weight(z));
    let outer = centre(z, positions, |z, r| other_weight(z) * square(r, &plain));
    let (mut sums, mut tensor) = ([0.0; 5], [[0.0; 3]; 3]);
    for (&z, r) in z.iter().zip(positions) {
        let (w, v) = (weight(z), other_weight(z));
        let [a, b, c] = [&plain, &weighted, &outer].map(|centre| square(r, centre));
        let terms = [a, a * a, w * b, v * c, v * c * c];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        let r: Vec3 = std::array::from_fn(|k| r[k] - weighted[k]);
        (0..3).for_each(|a| (0..3).for_each(|b| tensor[a][b] += w * r[a] * r[b]));
    }
    let norm = tensor.as_flattened().iter().map(|x| x * x).sum::<f64>();
    let [second, fourth, by_weight, from_outer, outer_fourth] = sums;
    let [one, other] =
        if system.n_atoms() <= PAIRS { pair_waves(system) } else { radial_waves(system, &[plain, outer]) };
    [
        second.sqrt(),
        (fourth * n).sqrt().sqrt(),
        by_weight.sqrt(),
        norm.sqrt().sqrt(),
        from_outer.sqrt(),
        (outer_fourth * n).sqrt().sqrt(),
        one,
        other,
    ]
}

/// Wave numbers of Fourier sums over distances in 1/Å.
const WAVE_NUMBERS: [f64; 2] = [2.3, 3.7];
/// Atoms of a molecule up to which all pairs are summed over.
const PAIRS: usize = 128;

/// Fourier sums over the distances of all pairs: moments do not see that a methyl group turns, these do.
fn pair_waves(system: &System) -> [f64; 2] {
    let (z, positions) = (&system.atomic_numbers, &system.positions);
    let mut sums = [0.0; 2];
    for (i, r) in positions.iter().enumerate() {
        for (j, other) in positions.iter().enumerate().take(i) {
            let distance = square(r, other).sqrt();
            sums[0] += weight(z[i]) * weight(z[j]) * (WAVE_NUMBERS[0] * distance).cos();
            sums[1] += other_weight(z[i]) * other_weight(z[j]) * (WAVE_NUMBERS[1] * distance).cos();
        }
    }
    let n = system.n_atoms() as f64;
    std::array::from_fn(|k| sums[k] / (WAVE_NUMBERS[k] * n))
}

/// Fourier sums over the distances from two centres, in linear time.
fn radial_waves(system: &System, centres: &[Vec3; 2]) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (&z, r) in system.atomic_numbers.iter().zip(&system.positions) {
        for (k, sum) in sums.iter_mut().enumerate() {
            *sum += weight(z) * (WAVE_NUMBERS[k] * square(r, &centres[k]).sqrt()).cos();
        }
    }
    let root = (system.n_atoms() as f64).sqrt();
    std::array::from_fn(|k| sums[k] / (WAVE_NUMBERS[k] * root))
}

/// Moduli of structure factors along periodic axes, moments of the distances from the middle across them; the metric of
/// the cell is added to one of them.
fn periodic(system: &System, frame: &Frame) -> [f64; 8] {
    /// Waves along the axes; of the first three, one along each.
    const WAVES: [Vec3; 8] = [
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
        [1.0, 2.0, 1.0],
        [2.0, 1.0, 3.0],
        [3.0, 1.0, 1.0],
        [1.0, 3.0, 2.0],
        [4.0, 3.0, 5.0],
    ];
    /// Square of the distance from the middle in Å that doubles the weight of an atom in the mixed waves.
    const ACROSS: f64 = 100.0;
    let free: Vec<usize> = (0..3).filter(|&k| !system.pbc[k]).collect();
    let sides: Vec3 = frame.lattice.map(|row| dot(row, row).sqrt());
    let across = Across::new(system, frame);
    let (mut sums, mut moments) = ([[0.0; 2]; 8], [0.0; 2]);
    for (i, (&z, &position)) in system.atomic_numbers.iter().zip(&system.positions).enumerate() {
        let mut at = frame.coordinates(position);
        free.iter().for_each(|&k| at[k] = 0.0);
        let squares = across.squares(i);
        moments[0] += squares[0];
        moments[1] += weight(z) * squares[1];
        for (k, (sum, wave)) in sums.iter_mut().zip(WAVES).enumerate() {
            let of_element = if k % 2 == 0 { weight(z) } else { other_weight(z) };
            let w = if k < 3 { of_element } else { of_element * (1.0 + squares[0] / ACROSS) };
            let (sine, cosine) = (TAU * dot(wave, at)).sin_cos();
            sum[0] += w * cosine;
            sum[1] += w * sine;
        }
    }
    // Errors of coordinates add up as the square root of their number, and count by the wavelength.
    let root = (system.n_atoms() as f64).sqrt();
    let per_length = |wave: Vec3| -> f64 {
        let along = (0..3).filter(|&k| system.pbc[k]).map(|k| (wave[k] / sides[k]).powi(2));
        along.sum::<f64>().sqrt()
    };
    let mut invariants =
        std::array::from_fn(|k| sums[k][0].hypot(sums[k][1]) / (TAU * root * per_length(WAVES[k]).max(1e-9)));
    free.iter().zip(moments).for_each(|(&k, moment)| invariants[k] = moment.sqrt());
    let shortest = (0..3).filter(|k| system.pbc[*k]).map(|k| sides[k]).fold(f64::INFINITY, f64::min);
    let angle = |a: usize, b: usize| dot(frame.lattice[a], frame.lattice[b]) / shortest;
    let metric = sides[0] + 1.37 * sides[1] + 1.71 * sides[2];
    invariants[3] += (metric + 0.59 * angle(0, 1) + 0.83 * angle(1, 2) + 1.13 * angle(2, 0)) / 4.0;
    invariants
}

/// Parts of positions across all periodic axes, from the plain and the weighted middle.
struct Across {
    parts: Vec<Vec3>,
    middles: [Vec3; 2],
}

impl Across {
    fn new(system: &System, frame: &Frame) -> Self {
        let part = |&position: &Vec3| -> Vec3 {
            let at = frame.coordinates(position);
            // The lattice is zero along free axes.
            let along = |x: usize| (0..3).map(|k| at[k] * frame.lattice[k][x]).sum::<f64>();
            std::array::from_fn(|x| position[x] - along(x))
        };
        let parts: Vec<Vec3> = system.positions.iter().map(part).collect();
        let z = &system.atomic_numbers;
        let middles = [centre(z, &parts, |_, _| 1.0), centre(z, &parts, |z, _| weight(z))];
        Self { parts, middles }
    }

    /// Squares of the distances of an atom from both middles.
    fn squares(&self, atom: usize) -> [f64; 2] {
        self.middles.map(|middle| square(&self.parts[atom], &middle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn molecule(places: &[Vec3]) -> System {
        let atomic_numbers = (0..places.len()).map(|i| [6, 1, 8, 1][i % 4]).collect();
        System { atomic_numbers, positions: places.to_vec(), ..System::default() }
    }

    fn crystal(places: &[Vec3], pbc: [bool; 3]) -> System {
        let cell = Some([[5.0, 0.1, 0.0], [1.5, 6.0, -0.3], [0.2, 0.4, 7.0]]);
        System { cell, pbc, ..molecule(places) }
    }

    fn places() -> impl Strategy<Value = Vec<Vec3>> {
        prop::collection::vec([-4.0..4.0, -4.0..4.0, -4.0..4.0], 2..12)
    }

    fn turned(r: Vec3, [a, b, c]: Vec3) -> Vec3 {
        let [x, y, z] = r;
        let (x, y) = (a.cos() * x - a.sin() * y, a.sin() * x + a.cos() * y);
        let (y, z) = (b.cos() * y - b.sin() * z, b.sin() * y + b.cos() * z);
        let (x, z) = (c.cos() * x + c.sin() * z, c.cos() * z - c.sin() * x);
        [x, y, z]
    }

    /// Turned, shifted, with atoms in the opposite order.
    fn moved(system: &System, angles: Vec3, shift: Vec3) -> System {
        let place = |&p: &Vec3| -> Vec3 { std::array::from_fn(|k| turned(p, angles)[k] + shift[k]) };
        System {
            atomic_numbers: system.atomic_numbers.iter().rev().copied().collect(),
            positions: system.positions.iter().rev().map(place).collect(),
            cell: system.cell.map(|cell| cell.map(|row| turned(row, angles))),
            ..system.clone()
        }
    }

    proptest! {
        #[test]
        fn rotation_translation_and_order_change_nothing(
            places in places(), angles in [0.0..6.3, 0.0..6.3, 0.0..6.3], shift in [-9.0..9.0, -9.0..9.0, -9.0..9.0],
            pbc in [any::<bool>(), any::<bool>(), any::<bool>()],
        ) {
            for system in [molecule(&places), crystal(&places, pbc)] {
                let (one, other) = (Fingerprint::new(&system), Fingerprint::new(&moved(&system, angles, shift)));
                prop_assert!(one.is_same(&other), "{one:?} {other:?}");
                prop_assert!(!one.is_identical(&other));
                prop_assert!(one.is_identical(&Fingerprint::new(&system.clone())));
            }
        }

        #[test]
        fn rounding_of_a_file_changes_nothing(places in places()) {
            let rounded: Vec<Vec3> = places.iter().map(|p| p.map(|x| (x * 1e5).round() / 1e5)).collect();
            for of in [molecule as fn(&[Vec3]) -> System, |p| crystal(p, [true; 3])] {
                prop_assert!(Fingerprint::new(&of(&places)).is_same(&Fingerprint::new(&of(&rounded))));
            }
        }

        #[test]
        fn a_mirror_image_is_the_same(places in places()) {
            let mirrored: Vec<Vec3> = places.iter().map(|&[x, y, z]| [-x, -y, -z]).collect();
            let cell = crystal(&mirrored, [true; 3]);
            prop_assert!(Fingerprint::new(&molecule(&places)).is_same(&Fingerprint::new(&molecule(&mirrored))));
            prop_assert!(Fingerprint::new(&crystal(&places, [true; 3])).is_same(&Fingerprint::new(&cell)));
        }

        #[test]
        fn wrapping_changes_nothing(places in places(), images in prop::collection::vec([-2..3_i32, -2..3, -2..3], 12)) {
            let system = crystal(&places, [true, true, false]);
            let mut wrapped = system.clone();
            let cell = system.cell.unwrap();
            for (p, image) in wrapped.positions.iter_mut().zip(&images) {
                (0..2).for_each(|k| (0..3).for_each(|x| p[x] += f64::from(image[k]) * cell[k][x]));
            }
            prop_assert!(Fingerprint::new(&system).is_same(&Fingerprint::new(&wrapped)));
        }

        #[test]
        fn an_atom_elsewhere_is_another_structure(places in places(), by in [0.002..0.3, 0.002..0.3, 0.002..0.3]) {
            let mut other = places.clone();
            (0..3).for_each(|k| other[0][k] += by[k]);
            prop_assert!(!Fingerprint::new(&molecule(&places)).is_same(&Fingerprint::new(&molecule(&other)))
                || places.len() < 3);
            let (one, other) = (crystal(&places, [true; 3]), crystal(&other, [true; 3]));
            prop_assert!(!Fingerprint::new(&one).is_same(&Fingerprint::new(&other)));
        }
    }

    /// Ethane, one of whose methyl groups is turned.
    fn ethane(angle: f64) -> System {
        let hydrogen = |x: f64, angle: f64| [x, 1.02 * angle.cos(), 1.02 * angle.sin()];
        let of = |x: f64, first: f64| (0..3).map(move |k| hydrogen(x, first + f64::from(k) * TAU / 3.0));
        let carbons = [[-0.765, 0.0, 0.0], [0.765, 0.0, 0.0]];
        let positions = carbons.into_iter().chain(of(-1.16, 0.0)).chain(of(1.16, angle)).collect();
        System { atomic_numbers: vec![6, 6, 1, 1, 1, 1, 1, 1], positions, ..System::default() }
    }

    #[test]
    fn a_methyl_group_that_turns_is_seen() {
        for angle in [0.3, 0.5, 0.9] {
            let one = Fingerprint::new(&ethane(angle));
            assert!(!one.is_same(&Fingerprint::new(&ethane(angle + 0.03))), "{angle}");
            // A third of a turn, and the mirror image.
            assert!(one.is_same(&Fingerprint::new(&ethane(angle + TAU / 3.0))));
            assert!(one.is_same(&Fingerprint::new(&ethane(-angle))));
        }
    }

    #[test]
    fn large_molecules_turn_too() {
        let places: Vec<Vec3> =
            (0..PAIRS + 9).map(|i| [1, 2, 3].map(|k| 9.0 * (f64::from(k) * i as f64).sin())).collect();
        let system = molecule(&places);
        let one = Fingerprint::new(&system);
        assert!(one.is_same(&Fingerprint::new(&moved(&system, [0.3, 1.0, 2.0], [1.0, 2.0, 3.0]))));
        let mut other = system;
        other.positions[7][1] += 0.01;
        assert!(!one.is_same(&Fingerprint::new(&other)));
    }

    #[test]
    fn elements_and_cells_count() {
        let places = [[0.0; 3], [1.0, 0.2, 0.0], [0.0, 1.5, 2.0]];
        let base = molecule(&places);
        let swapped = System { atomic_numbers: vec![1, 6, 8], ..base.clone() };
        assert!(!Fingerprint::new(&base).is_same(&Fingerprint::new(&swapped)));
        let other = System { atomic_numbers: vec![6, 1, 7], ..base.clone() };
        assert!(!Fingerprint::new(&base).is_same(&Fingerprint::new(&other)));
        let cell = crystal(&places, [true; 3]);
        let mut wider = cell.clone();
        wider.cell.as_mut().unwrap()[2][2] += 0.01;
        assert!(!Fingerprint::new(&cell).is_same(&Fingerprint::new(&wider)));
        assert!(!Fingerprint::new(&cell).is_same(&Fingerprint::new(&base)));
        // Without periodic directions a cell is only a box that is drawn around a molecule.
        assert!(Fingerprint::new(&crystal(&places, [false; 3])).is_identical(&Fingerprint::new(&base)));
    }

    #[test]
    fn numbers_that_are_not_finite_are_no_panic() {
        let broken = molecule(&[[f64::NAN, 0.0, 0.0], [f64::INFINITY; 3]]);
        assert!(!Fingerprint::new(&broken).is_same(&Fingerprint::new(&broken)));
        let _ = Fingerprint::new(&System::default());
    }
}
