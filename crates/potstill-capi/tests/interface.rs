//! The interface as a program in C has it.
#![allow(unsafe_code, reason = "as a caller in C")]

use std::ffi::{CStr, CString, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::{null, null_mut};

use potstill_capi::*;
use potstill_core::model::{ElementEnergies, EnergyScale, Header, SchNetConfig, write_model};
use potstill_core::{Potential, System};
use potstill_engine::{Engine, FilterChoice};

/// A small SchNet of H and O.
fn save(folder: &Path) -> PathBuf {
    let config = SchNetConfig {
        hidden_channels: 8,
        n_filters: 4,
        n_interactions: 2,
        n_gaussians: 6,
        cutoff: 3.0,
        ..SchNetConfig::default()
    };
    let mut seed = 0.0_f32;
    let mut weight = |name: &str, shape: &[usize]| {
        let numbers = (0..shape.iter().product::<usize>()).flat_map(|_| {
            seed += 1.7;
            (0.5 * seed.sin()).to_le_bytes()
        });
        (name.to_owned(), safetensors::Dtype::F32, shape.to_vec(), numbers.collect::<Vec<u8>>())
    };
    let mut weights = vec![weight("embedding.weight", &[100, 8])];
    for i in 0..2 {
        for (name, shape) in [
            ("filter_in.weight", &[4, 6][..]),
            ("filter_in.bias", &[4]),
            ("filter_out.weight", &[4, 4]),
            ("filter_out.bias", &[4]),
            ("source.weight", &[4, 8]),
            ("message.weight", &[8, 4]),
            ("message.bias", &[8]),
            ("output.weight", &[8, 8]),
            ("output.bias", &[8]),
        ] {
            weights.push(weight(&format!("interactions.{i}.{name}"), shape));
        }
    }
    for (name, shape) in [
        ("energy_in.weight", &[4, 8][..]),
        ("energy_in.bias", &[4]),
        ("energy_out.weight", &[1, 4]),
        ("energy_out.bias", &[1]),
    ] {
        weights.push(weight(name, shape));
    }
    let path = folder.join("model.safetensors");
    let scale =
        EnergyScale { reference_energies: ElementEnergies::new([(1, -0.3), (8, -2.0)]), ..EnergyScale::default() };
    let header = Header::new(config, vec!["H".to_owned(), "O".to_owned()], scale);
    write_model(&path, &header, &weights).unwrap();
    path
}

fn message() -> String {
    unsafe { CStr::from_ptr(potstill_error()) }.to_str().unwrap().to_owned()
}

fn open(path: &Path, bytes: i32) -> *mut PotstillModel {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    unsafe { potstill_model_open(path.as_ptr(), bytes) }
}

const NUMBERS: [i32; 3] = [8, 1, 1];
const POSITIONS: [f64; 9] = [0.0, 0.0, 0.119, 0.0, 0.763, -0.477, 0.0, -0.763, -0.477];
/// A triclinic cell of which the molecule sees images.
const CELL: [f64; 9] = [3.1, 0.0, 0.0, 0.4, 3.3, 0.0, -0.2, 0.3, 3.0];

fn water(cell: Option<&[f64; 9]>) -> System {
    System {
        atomic_numbers: vec![8, 1, 1],
        positions: POSITIONS.as_chunks::<3>().0.to_vec(),
        cell: cell.map(|cell| [0, 3, 6].map(|row| [cell[row], cell[row + 1], cell[row + 2]])),
        pbc: [cell.is_some(); 3],
        ..System::default()
    }
}

#[test]
fn systems_and_domains_are_those_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path());
    let engine = Engine::<f64>::load(&path, FilterChoice::Exact).unwrap();
    for (bytes, limit) in [(4, 2e-6), (8, 1e-9)] {
        let model = open(&path, bytes);
        assert!(!model.is_null(), "{}", message());
        for cell in [None, Some(&CELL)] {
            let wanted = engine.evaluate(&[&water(cell)]).unwrap();
            let (mut energy, mut atomic, mut forces, mut virial) = (0.0, [0.0; 3], [0.0; 9], [0.0; 9]);
            let cell = cell.map_or(null(), |cell| cell.as_ptr());
            let status = unsafe {
                potstill_evaluate(
                    model,
                    3,
                    NUMBERS.as_ptr(),
                    POSITIONS.as_ptr(),
                    cell,
                    null(),
                    &mut energy,
                    atomic.as_mut_ptr(),
                    forces.as_mut_ptr(),
                    virial.as_mut_ptr(),
                )
            };
            assert_eq!(status, 0, "{}", message());
            let near = |a: &[f64], b: &[f64]| {
                let size = b.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
                a.iter().zip(b).all(|(a, b)| (a - b).abs() < limit * size)
            };
            let virials = wanted.virial.unwrap();
            assert!(near(&[energy], &wanted.energy) && near(&atomic, &wanted.atomic_energies));
            assert!(near(&forces, wanted.forces.as_flattened()) && near(&virial, virials[0].as_flattened()));

            if cell.is_null() {
                let (rows, first, neighbors) = ([0, 1, 2], [0_usize, 2, 4, 6], [1, 2, 0, 2, 0, 1]);
                let domain = unsafe {
                    potstill_domain_open(3, 3, NUMBERS.as_ptr(), rows.as_ptr(), first.as_ptr(), neighbors.as_ptr())
                };
                assert!(!domain.is_null(), "{}", message());
                let (mut own, mut own_forces, mut own_virial, mut of_atoms) = ([0.0; 3], [0.0; 9], [0.0; 9], [0.0; 27]);
                let status = unsafe {
                    potstill_domain_evaluate(
                        model,
                        domain,
                        3,
                        POSITIONS.as_ptr(),
                        None,
                        null_mut(),
                        own.as_mut_ptr(),
                        own_forces.as_mut_ptr(),
                        own_virial.as_mut_ptr(),
                        of_atoms.as_mut_ptr(),
                    )
                };
                assert_eq!(status, 0, "{}", message());
                let sum: Vec<f64> = (0..9).map(|k| (0..3).map(|atom| of_atoms[9 * atom + k]).sum()).collect();
                assert!(
                    near(&own, &atomic)
                        && near(&own_forces, &forces)
                        && near(&own_virial, &virial)
                        && near(&sum, &virial)
                );
                unsafe { potstill_domain_close(domain) };
            }
        }
        unsafe { potstill_model_close(model) };
    }
}

/// Two copies of a molecule's atom and what the exchange was asked for.
#[derive(Default)]
struct Asked {
    calls: Vec<Vec<usize>>,
}

unsafe extern "C" fn note(context: *mut c_void, n: usize, arrays: *const *mut c_void, widths: *const usize) {
    let asked = unsafe { &mut *context.cast::<Asked>() };
    let widths = unsafe { std::slice::from_raw_parts(widths, n) };
    asked.calls.push(widths.to_vec());
    // One own atom, one ghost: an H₂ molecule, whose atoms are alike, so that the ghost's row is the atom's.
    for (k, &width) in widths.iter().enumerate() {
        unsafe {
            let rows = (*arrays.add(k)).cast::<f64>();
            std::ptr::copy_nonoverlapping(rows, rows.add(width), width);
        }
    }
}

#[test]
fn ghosts_get_their_rows_from_the_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path());
    let model = open(&path, 8);
    let (numbers, positions) = ([1, 1], [0.0, 0.0, 0.0, 0.9, 0.0, 0.0]);
    let (rows, first, neighbors) = ([0, 1], [0_usize, 1], [1]);
    let domain =
        unsafe { potstill_domain_open(1, 2, numbers.as_ptr(), rows.as_ptr(), first.as_ptr(), neighbors.as_ptr()) };
    let (mut asked, mut energy, mut forces) = (Asked::default(), [0.0], [0.0; 6]);
    let mut evaluate = |exchange: PotstillExchange| unsafe {
        potstill_domain_evaluate(
            model,
            domain,
            2,
            positions.as_ptr(),
            exchange,
            (&raw mut asked).cast(),
            energy.as_mut_ptr(),
            forces.as_mut_ptr(),
            null_mut(),
            null_mut(),
        )
    };
    assert_eq!(evaluate(None), 1);
    assert_eq!(message(), "exchange: is null, and the domain has ghosts");
    assert_eq!(evaluate(Some(note)), 0, "{}", message());
    // Two blocks there and back.
    assert_eq!((asked.calls, unsafe { potstill_model_exchanged(model) }), (vec![vec![16]; 4], 16));
    let molecule =
        System { atomic_numbers: vec![1, 1], positions: vec![[0.0; 3], [0.9, 0.0, 0.0]], ..System::default() };
    let whole = Engine::<f64>::load(&path, FilterChoice::Exact).unwrap().evaluate(&[&molecule]).unwrap();
    assert!((2.0 * energy[0] - whole.energy[0]).abs() < 1e-9);
    // The ghost's part belongs to its atom, whose own part lies on this one by symmetry.
    assert!((forces[0] - forces[3] - whole.forces[0][0]).abs() < 1e-9, "{forces:?} {:?}", whole.forces);
    unsafe {
        potstill_domain_close(domain);
        potstill_model_close(model);
    }
}

#[test]
fn failures_are_said_and_nothing_unwinds() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path());
    assert!(open(Path::new("/nowhere/model.safetensors"), 4).is_null());
    assert!(message().contains("/nowhere/model.safetensors"), "{}", message());
    assert!(open(&path, 2).is_null() && message() == "bytes_per_number: is 2; must be 4 or 8");
    assert!(unsafe { potstill_model_open(null(), 4) }.is_null() && message() == "path: is null; a text is needed");
    let model = open(&path, 4);
    assert_eq!(unsafe { potstill_model_cutoff(model) }, 3.0);
    assert!(unsafe { potstill_model_cutoff(null()) }.is_nan());
    assert_eq!(message(), "model: is null; open one with potstill_model_open");
    unsafe {
        assert_eq!((potstill_model_has_direct_forces(model), potstill_model_sees_all_neighbors(model)), (0, 1));
        assert_eq!((potstill_model_knows(model, 8), potstill_model_knows(model, 6)), (1, 0));
        assert_eq!((potstill_atomic_number(c"Si".as_ptr()), potstill_atomic_number(c"Xx".as_ptr())), (14, 0));
        assert_eq!(CStr::from_ptr(potstill_version()).to_str(), Ok(env!("CARGO_PKG_VERSION")));
        let evaluate = |numbers: &[i32; 3], positions: *const f64, cell: *const f64, pbc: *const i32| {
            let n = numbers.as_ptr();
            potstill_evaluate(model, 3, n, positions, cell, pbc, null_mut(), null_mut(), null_mut(), null_mut())
        };
        assert_eq!(evaluate(&NUMBERS, POSITIONS.as_ptr(), null(), null()), 0);
        let repeats = [1, 0, 0];
        let lost = [f64::NAN; 9];
        for (numbers, positions, cell, pbc, expected) in [
            ([8, 1, 0], POSITIONS.as_ptr(), null(), null(), "atomic number 0 of atom 2"),
            ([8, 1, 6], POSITIONS.as_ptr(), null(), null(), "element C is not among those of the model (H, O)"),
            (NUMBERS, null(), null(), null(), "positions: is null; 9 numbers are needed"),
            (NUMBERS, POSITIONS.as_ptr(), null(), repeats.as_ptr(), "pbc: asks for repetition, and cell is null"),
            (NUMBERS, lost.as_ptr(), null(), null(), "must be finite"),
            (NUMBERS, POSITIONS.as_ptr(), lost.as_ptr(), null(), "must be finite"),
        ] {
            assert_eq!(evaluate(&numbers, positions, cell, pbc), 1);
            assert!(message().contains(expected) && !message().contains('\n'), "{}", message());
        }
        let (rows, first, neighbors) = ([0, -1, 2], [0_usize, 1, 0], [7]);
        let domain = |rows: &[i32; 3], first: &[usize; 3]| {
            potstill_domain_open(2, 3, NUMBERS.as_ptr(), rows.as_ptr(), first.as_ptr(), neighbors.as_ptr())
        };
        for (rows, first, expected) in [
            (&rows, &[0, 0, 1], "rows: has -1, below 0"),
            (&[0, 1, 2], &first, "first: does not ascend"),
            (&[0, 1, 2], &[0, 0, 1], "a neighbour is point 7 of 3"),
        ] {
            assert!(domain(rows, first).is_null());
            assert!(message().contains(expected), "{}", message());
        }
        assert_eq!(
            potstill_domain_evaluate(
                model,
                null_mut(),
                1,
                null(),
                None,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut()
            ),
            1
        );
        assert!(message().contains("domain: is null"));
        potstill_domain_close(null_mut());
        potstill_model_close(null_mut());
        potstill_model_close(model);
    }
}

#[test]
fn the_example_in_c_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let model = save(folder.path());
    // The libraries lie beside the tests' programs.
    let tests = std::env::current_exe().unwrap();
    let libraries = tests.parent().unwrap();
    for (name, library, more) in
        [("shared", "libpotstill_capi.so", vec![]), ("static", "libpotstill_capi.a", vec!["-lpthread", "-ldl", "-lm"])]
    {
        let program = folder.path().join(name);
        let mut compiler = Command::new("cc");
        compiler.arg("-Wall").arg("-Wextra").arg("-Werror").arg(root.join("../../examples/c/water.c"));
        compiler.arg("-I").arg(root.join("include")).arg(libraries.join(library)).args(more).arg("-o").arg(&program);
        let output = compiler.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = Command::new(&program).arg(&model).env("LD_LIBRARY_PATH", libraries).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let engine = Engine::<f32>::load(&model, FilterChoice::default()).unwrap();
        let wanted = engine.evaluate(&[&water(None)]).unwrap();
        let mut text = format!("energy {:.9} eV\n", wanted.energy[0]);
        for [x, y, z] in &wanted.forces {
            text += &format!("force {x:.9} {y:.9} {z:.9} eV/Å\n");
        }
        assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{name}");
        let output =
            Command::new(&program).arg("nothing.safetensors").env("LD_LIBRARY_PATH", libraries).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("nothing.safetensors"));
    }
}
