//! The periodic directions of a system, completed to a basis of space.

use crate::system::{Mat3, System, Vec3, cross, dot};

/// Smallest volume of the periodic directions, as a share of the product of their lengths.
const MIN_RELATIVE_VOLUME: f64 = 1e-8;

/// Lattice vectors along periodic axes, unit vectors orthogonal to them along the others.
///
/// What a file says about a lattice vector along a free axis never matters; it may be zero or absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Whether each axis repeats.
    pub periodic: [bool; 3],
    /// Lattice vectors in Å as rows, zero along free axes.
    pub lattice: Mat3,
    /// Dual basis as rows: `position · dual[k]` is the coordinate along axis `k`, in cells or (free axes) in Å.
    pub dual: Mat3,
    /// Distance in Å between the planes at coordinates 0 and 1 of each axis.
    pub heights: Vec3,
}

impl Frame {
    /// The frame of `system`; the message of the error says what is wrong with its cell.
    pub fn new(system: &System) -> Result<Self, String> {
        let periodic = system.pbc;
        let mut lattice = [[0.0; 3]; 3];
        if periodic.contains(&true) {
            let cell = system.cell.ok_or("has pbc but no cell; give its lattice vectors or switch pbc off")?;
            for k in (0..3).filter(|&k| periodic[k]) {
                lattice[k] = cell[k];
            }
        }
        let rows = complete(lattice, periodic).ok_or_else(|| flat_cell(periodic))?;
        let volume = dot(rows[0], cross(rows[1], rows[2]));
        let dual = [cross(rows[1], rows[2]), cross(rows[2], rows[0]), cross(rows[0], rows[1])]
            .map(|v| v.map(|component| component / volume));
        let heights = dual.map(|v| 1.0 / length(v));
        Ok(Self { periodic, lattice, dual, heights })
    }

    /// Coordinate of `position` along each axis.
    pub fn coordinates(&self, position: Vec3) -> Vec3 {
        self.dual.map(|v| dot(v, position))
    }

    /// `shift · lattice` in Å. Exactly opposite for opposite shifts.
    pub fn translation(&self, shift: [i32; 3]) -> Vec3 {
        let [n0, n1, n2] = shift.map(f64::from);
        let [a, b, c] = self.lattice;
        std::array::from_fn(|x| n0 * a[x] + n1 * b[x] + n2 * c[x])
    }
}

fn flat_cell(periodic: [bool; 3]) -> String {
    let axes: Vec<_> = ["a", "b", "c"].into_iter().zip(periodic).filter(|(_, p)| *p).map(|(axis, _)| axis).collect();
    format!(
        "the cell has zero volume along its periodic axes ({}); give independent lattice vectors or switch pbc off",
        axes.join(", ")
    )
}

/// Replaces free axes by unit vectors orthogonal to everything else; none if periodic vectors are dependent.
fn complete(mut rows: Mat3, periodic: [bool; 3]) -> Option<Mat3> {
    // Going round from the axis `k` the handedness stays, so that the volume is positive whenever an axis is free.
    let first = |wanted: bool| (0..3).find(|&k| periodic[k] == wanted);
    match periodic.iter().filter(|&&p| p).count() {
        0 => rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        1 => {
            let k = first(true)?;
            let axis = unit(rows[k])?;
            let smallest = (0..3).min_by(|&i, &j| axis[i].abs().total_cmp(&axis[j].abs()))?;
            let mut helper = [0.0; 3];
            helper[smallest] = 1.0;
            let second = unit(cross(axis, helper))?;
            rows[(k + 1) % 3] = second;
            rows[(k + 2) % 3] = cross(axis, second);
        }
        2 => {
            let k = first(false)?;
            let normal = cross(unit(rows[(k + 1) % 3])?, unit(rows[(k + 2) % 3])?);
            rows[k] = if length(normal) > MIN_RELATIVE_VOLUME { unit(normal)? } else { return None };
        }
        _ => {
            let [a, b, c] = [unit(rows[0])?, unit(rows[1])?, unit(rows[2])?];
            if dot(a, cross(b, c)).abs() <= MIN_RELATIVE_VOLUME {
                return None;
            }
        }
    }
    Some(rows)
}

fn length(v: Vec3) -> f64 {
    dot(v, v).sqrt()
}

/// `v / |v|`, none for a vector too short to have a direction.
fn unit(v: Vec3) -> Option<Vec3> {
    let length = length(v);
    (length > 1e-100).then(|| v.map(|component| component / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(cell: Mat3, pbc: [bool; 3]) -> Result<Frame, String> {
        Frame::new(&System { cell: Some(cell), pbc, ..System::default() })
    }

    #[test]
    fn coordinates_invert_the_lattice() {
        let cell = [[4.0, 0.3, -0.2], [1.5, 3.0, 0.1], [0.2, -0.4, 5.0]];
        for bits in 0..8 {
            let pbc = [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0];
            let frame = frame(cell, pbc).unwrap();
            for k in (0..3).filter(|&k| pbc[k]) {
                let coordinates = frame.coordinates(cell[k]);
                for (i, c) in coordinates.iter().enumerate() {
                    assert!((c - f64::from(u8::from(i == k))).abs() < 1e-12, "{pbc:?}: {coordinates:?}");
                }
            }
            for k in (0..3).filter(|&k| !pbc[k]) {
                assert!((frame.heights[k] - 1.0).abs() < 1e-12, "free axes are measured in Å");
            }
        }
    }

    #[test]
    fn lattice_vectors_of_free_axes_never_matter() {
        let pbc = [true, false, true];
        let one = frame([[4.0, 0.0, 0.0], [0.0; 3], [1.0, 0.0, 5.0]], pbc);
        let other = frame([[4.0, 0.0, 0.0], [f64::NAN; 3], [1.0, 0.0, 5.0]], pbc);
        assert_eq!(one.unwrap(), other.unwrap());
    }

    #[test]
    fn dependent_periodic_vectors_are_refused() {
        let parallel = [[4.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 0.0, 5.0]];
        assert!(frame(parallel, [true; 3]).unwrap_err().contains("(a, b, c)"));
        assert!(frame(parallel, [true, true, false]).unwrap_err().contains("(a, b)"));
        assert!(frame(parallel, [false, true, true]).is_ok());
        assert!(frame([[0.0; 3]; 3], [false, false, true]).is_err());
    }
}
