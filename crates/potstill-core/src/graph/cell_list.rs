//! Atoms sorted into bins, so that the neighbours of one atom are found among a bounded number of candidates.
//!
//! Bins divide the cell (free axes: the extent of the atoms) into slabs of about half a cutoff. Atoms of one row of
//! bins along the last axis lie side by side in memory, so a search scans few long runs. Where a cell is thinner than
//! the cutoff a search goes round it several times, each time into the next image.

use super::frame::Frame;
use crate::system::{System, Vec3};

/// Width of a bin as a share of the search radius: halves visit fewer candidates than whole ones, in more runs.
const BIN_WIDTH: f64 = 0.5;
/// Margin beyond the cutoff within which candidates are sought: far more than wrapping can lose to rounding.
const SLACK: f64 = 1e-6;
/// Most periodic images that a search may reach.
const MAX_IMAGES: f64 = 1e6;
/// Most edges of one system, 47 GB: more is a mistake in the units.
const MAX_EDGES: f64 = (1u32 << 30) as f64;
/// Most cells that an atom may lie outside its own, so that differences of shifts fit 32 bits.
const MAX_WRAP: f64 = (1u32 << 29) as f64;

/// Key of an atom in reach of another: its index in the upper half, the index of its image in the lower.
///
/// Images are numbered in lexicographic order of their shifts, hence keys of one target sort by source, then shift.
pub(super) type Key = u64;

/// Source atom of a key.
pub(super) fn key_source(key: Key) -> usize {
    (key >> 32) as usize
}

/// A periodic image of the whole system.
#[derive(Debug, Clone)]
struct Image {
    shift: [i32; 3],
    translation: Vec3,
}

/// The atoms of one system, sorted by bin.
#[derive(Debug)]
pub(super) struct CellList {
    periodic: [bool; 3],
    /// Squared search radius in Å².
    radius2: f64,
    /// Bins along each axis.
    n_bins: [usize; 3],
    /// Search radius along each axis, in bins.
    reach: Vec3,
    /// First place in `order` of each bin, and the number of atoms at the end.
    first: Vec<u32>,
    /// Atoms sorted by bin, within a bin by index.
    order: Vec<u32>,
    /// Wrapped positions in Å, in the order of `order`.
    sorted: Vec<Vec3>,
    /// Wrapped position of each atom in Å.
    wrapped: Vec<Vec3>,
    /// Position of each atom in bins from the corner of the frame.
    places: Vec<Vec3>,
    /// Cells to subtract from each atom to bring it into the first one.
    wraps: Vec<[i32; 3]>,
    /// Images in lexicographic order of their shifts; `image_reach[k]` to either side along axis `k`.
    images: Vec<Image>,
    image_reach: [i64; 3],
}

impl CellList {
    /// Sorts the atoms of `system`, which has been checked; the message of the error says what is absurd about it.
    pub fn new(system: &System, frame: &Frame, cutoff: f64) -> Result<Self, String> {
        let (mut places, wraps) = wrap(system, frame)?;
        let wrapped: Vec<Vec3> = system.positions.iter().zip(&wraps).map(|(&p, &w)| moved_back(p, w, frame)).collect();
        // Far from the origin rounding grows with the coordinates themselves.
        let farthest = system.positions.iter().flatten().fold(0.0, |m: f64, x| m.max(x.abs()));
        let radius = cutoff * (1.0 + SLACK) + farthest * 1e-14;

        let (spans, corner) = spans(&places, frame);
        let n_bins = bin_counts(spans, radius, places.len());
        let scale: Vec3 = std::array::from_fn(|k| match (frame.periodic[k], spans[k] > 0.0) {
            (true, _) => n_bins[k] as f64,
            (false, true) => n_bins[k] as f64 / spans[k],
            (false, false) => 1.0,
        });
        let reach = std::array::from_fn(|k| radius * scale[k] / frame.heights[k]);
        for place in &mut places {
            *place = std::array::from_fn(|k| (place[k] - corner[k]) * scale[k]);
        }
        let (first, order) = sort_by_bin(&places, n_bins);
        refuse_crowd(&first, &std::array::from_fn(|k| bin_width(frame, k, spans, n_bins, radius)), radius)?;
        let (images, image_reach) = images(frame, n_bins, reach, cutoff)?;
        let sorted = order.iter().map(|&i| wrapped[i as usize]).collect();
        let radius2 = radius * radius;
        let periodic = frame.periodic;
        Ok(Self { periodic, radius2, n_bins, reach, first, order, sorted, wrapped, places, wraps, images, image_reach })
    }

    /// All atoms, those of one bin side by side.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Shift of an edge into `target`, for positions as given.
    pub fn shift(&self, target: usize, key: Key) -> [i32; 3] {
        let (image, from) = (&self.images[(key & 0xffff_ffff) as usize], self.wraps[key_source(key)]);
        std::array::from_fn(|k| image.shift[k] - from[k] + self.wraps[target][k])
    }

    /// Writes the keys of all atoms in reach of `target` to `keys`, itself included, unsorted.
    pub fn candidates(&self, target: usize, keys: &mut Vec<Key>) {
        keys.clear();
        let ranges: [(i64, i64); 3] = std::array::from_fn(|k| self.range(k, self.places[target][k]));
        let bins = self.n_bins.map(|n| n as i64);
        let here = self.wrapped[target];
        for a in ranges[0].0..=ranges[0].1 {
            for b in ranges[1].0..=ranges[1].1 {
                let row = (a.rem_euclid(bins[0]) * bins[1] + b.rem_euclid(bins[1])) * bins[2];
                let plane = self.image_number(a.div_euclid(bins[0]), b.div_euclid(bins[1]));
                let (mut c, last) = ranges[2];
                while c <= last {
                    let image = c.div_euclid(bins[2]);
                    let end = last.min((image + 1) * bins[2] - 1);
                    let base = row - image * bins[2];
                    let run = self.first[(base + c) as usize] as usize..self.first[(base + end + 1) as usize] as usize;
                    self.scan(run, (plane + image) as usize, here, keys);
                    c = end + 1;
                }
            }
        }
    }

    /// First and last bin to visit along axis `k` from `place`; outside `0..n_bins` lie images.
    fn range(&self, k: usize, place: f64) -> (i64, i64) {
        let (low, high) = ((place - self.reach[k]).floor() as i64, (place + self.reach[k]).floor() as i64);
        if self.periodic[k] { (low, high) } else { (low.max(0), high.min(self.n_bins[k] as i64 - 1)) }
    }

    /// Index of the image `[a, b, 0]`; those along the last axis lie next to it.
    fn image_number(&self, a: i64, b: i64) -> i64 {
        let [m0, m1, m2] = self.image_reach;
        ((a + m0) * (2 * m1 + 1) + b + m1) * (2 * m2 + 1) + m2
    }

    /// Appends the atoms of `run` whose image lies within the search radius of `here`.
    fn scan(&self, run: std::ops::Range<usize>, image: usize, here: Vec3, keys: &mut Vec<Key>) {
        let translation = self.images[image].translation;
        let offset: Vec3 = std::array::from_fn(|x| translation[x] - here[x]);
        // About one candidate in four is kept, which no branch predictor learns: write each, advance past the kept.
        let mut kept = keys.len();
        keys.resize(kept + run.len(), 0);
        for (position, &source) in self.sorted[run.clone()].iter().zip(&self.order[run]) {
            let d: Vec3 = std::array::from_fn(|x| position[x] + offset[x]);
            keys[kept] = Key::from(source) << 32 | image as Key;
            kept += usize::from(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] <= self.radius2);
        }
        keys.truncate(kept);
    }
}

/// Coordinates of each atom inside the first cell, and the cells that it was moved by.
fn wrap(system: &System, frame: &Frame) -> Result<(Vec<Vec3>, Vec<[i32; 3]>), String> {
    let mut wraps = vec![[0; 3]; system.positions.len()];
    let mut places = Vec::with_capacity(system.positions.len());
    for (atom, (&position, wrap)) in system.positions.iter().zip(&mut wraps).enumerate() {
        let mut place = frame.coordinates(position);
        for k in (0..3).filter(|&k| frame.periodic[k]) {
            let cells = place[k].floor();
            if cells.abs() > MAX_WRAP {
                return Err(format!("atom {atom} lies {cells:e} cells outside its own; check the cell and the units"));
            }
            (place[k], wrap[k]) = (place[k] - cells, cells as i32);
        }
        places.push(place);
    }
    Ok((places, wraps))
}

fn moved_back(position: Vec3, wrap: [i32; 3], frame: &Frame) -> Vec3 {
    let translation = frame.translation(wrap);
    std::array::from_fn(|x| position[x] - translation[x])
}

/// Height of the cell or extent of the atoms along each axis in Å, and the smallest coordinate of each.
fn spans(places: &[Vec3], frame: &Frame) -> (Vec3, Vec3) {
    let mut corner = [0.0; 3];
    let mut spans = frame.heights;
    for k in (0..3).filter(|&k| !frame.periodic[k]) {
        let (low, high) = places.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high): (f64, f64), place| {
            (low.min(place[k]), high.max(place[k]))
        });
        (corner[k], spans[k]) = (low, high - low);
    }
    (spans, corner)
}

/// Bins along each axis: about `BIN_WIDTH` wide, but never more of them than atoms.
fn bin_counts(spans: Vec3, radius: f64, n_atoms: usize) -> [usize; 3] {
    let limit = n_atoms.max(1) as f64;
    let mut n = spans.map(|span| (span / (BIN_WIDTH * radius)).floor().clamp(1.0, limit));
    while n[0] * n[1] * n[2] > limit {
        // The longest axis gives way: one stray atom must not coarsen the others.
        let longest = (0..3).max_by(|&i, &j| n[i].total_cmp(&n[j])).unwrap_or(0);
        n[longest] = (n[longest] * 0.75).floor().max(1.0);
    }
    n.map(|bins| bins as usize)
}

/// Width of a bin in Å; along free axes the space around the atoms counts as well.
fn bin_width(frame: &Frame, k: usize, spans: Vec3, n_bins: [usize; 3], radius: f64) -> f64 {
    // A ball of one radius has the volume of a cube of 1.6.
    (if frame.periodic[k] { spans[k] } else { spans[k].max(1.6 * radius) }) / n_bins[k] as f64
}

/// Counting sort by bin: the first place of each bin, and the atoms in that order.
fn sort_by_bin(places: &[Vec3], n_bins: [usize; 3]) -> (Vec<u32>, Vec<u32>) {
    let bin_of = |place: &Vec3| {
        let [a, b, c]: [usize; 3] = std::array::from_fn(|k| (place[k] as usize).min(n_bins[k] - 1));
        (a * n_bins[1] + b) * n_bins[2] + c
    };
    let mut first = vec![0u32; n_bins.iter().product::<usize>() + 1];
    for place in places {
        first[bin_of(place) + 1] += 1;
    }
    for bin in 1..first.len() {
        first[bin] += first[bin - 1];
    }
    let mut next = first.clone();
    let mut order = vec![0; places.len()];
    for (atom, place) in places.iter().enumerate() {
        let place_in_order = &mut next[bin_of(place)];
        order[*place_in_order as usize] = atom as u32;
        *place_in_order += 1;
    }
    (first, order)
}

/// Refuses atoms so dense that their edges would not fit into memory.
fn refuse_crowd(first: &[u32], widths: &Vec3, radius: f64) -> Result<(), String> {
    let bins_in_ball = 4.19 * radius.powi(3) / (widths[0] * widths[1] * widths[2]);
    let pairs: f64 = first.windows(2).map(|w| f64::from(w[1] - w[0]).powi(2)).sum();
    if pairs * bins_in_ball > MAX_EDGES {
        return Err(format!(
            "would have about {:.0e} edges (limit {MAX_EDGES:.0e}); check positions, cell and cutoff",
            pairs * bins_in_ball
        ));
    }
    Ok(())
}

/// All images that a search can reach, and how many to either side along each axis.
fn images(frame: &Frame, n_bins: [usize; 3], reach: Vec3, cutoff: f64) -> Result<(Vec<Image>, [i64; 3]), String> {
    let sides: Vec3 =
        std::array::from_fn(|k| if frame.periodic[k] { (reach[k] / n_bins[k] as f64).floor() + 1.0 } else { 0.0 });
    let count = sides.iter().map(|m| 2.0 * m + 1.0).product::<f64>();
    if count > MAX_IMAGES {
        return Err(format!(
            "its cell is so thin or skewed that {count:.0e} images lie within {cutoff} Å (limit {MAX_IMAGES:.0e}); \
             check the cell and the units"
        ));
    }
    let [m0, m1, m2] = sides.map(|m| m as i32);
    let mut images = Vec::with_capacity(count as usize);
    for a in -m0..=m0 {
        for b in -m1..=m1 {
            for c in -m2..=m2 {
                images.push(Image { shift: [a, b, c], translation: frame.translation([a, b, c]) });
            }
        }
    }
    Ok((images, [m0, m1, m2].map(i64::from)))
}
