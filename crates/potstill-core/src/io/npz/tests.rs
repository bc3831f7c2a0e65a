use std::io::Cursor;
use std::path::{Path, PathBuf};

use npyz::WriterBuilder;
use proptest::prelude::*;

use super::*;
use crate::io::{LabelKeys, read_all};
use crate::system::{System, Value};

/// An archive of two systems, with some arrays replaced or, when empty, left out.
fn archive(integers: &[(&str, &[u64], &[i32])], reals: &[(&str, &[u64], &[f32])]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut npz = npyz::npz::NpzWriter::new(&mut bytes);
    for (name, shape, values) in integers {
        let mut a = npz.array(name, Default::default()).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        a.extend(values.iter().copied()).unwrap();
        a.finish().unwrap();
    }
    for (name, shape, values) in reals {
        let mut a = npz.array(name, Default::default()).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        a.extend(values.iter().copied()).unwrap();
        a.finish().unwrap();
    }
    drop(npz);
    bytes.into_inner()
}

fn parse(bytes: &[u8]) -> crate::Result<Vec<System>> {
    NpzReader::from_reader(Cursor::new(bytes), Path::new("t.npz"), &LabelKeys::default())?.collect()
}

const R: (&str, &[u64], &[f32]) = ("R", &[3, 3], &[0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
const Z: (&str, &[u64], &[i32]) = ("Z", &[3], &[1, 8, 6]);
const N: (&str, &[u64], &[i32]) = ("N", &[2], &[2, 1]);

#[test]
fn reads_small_types_and_column_energies() {
    let id: (&str, &[u64], &[i32]) = ("id", &[2, 1], &[7, 9]);
    let systems = parse(&archive(&[N, Z, id], &[R, ("E", &[2, 1], &[-1.0, -2.0])])).unwrap();
    assert_eq!(systems[0].atomic_numbers, [1, 8]);
    assert_eq!(systems[1].positions, [[2.0; 3]]);
    assert_eq!((systems[1].energy, &systems[1].forces), (Some(-2.0), &None));
    assert_eq!(systems[1].metadata.get("id"), Some(&Value::Int(9)));
}

#[test]
fn error_texts() {
    let of = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert!(of(b"nothing").starts_with("t.npz: not a readable npz archive: "));
    assert_eq!(of(&archive(&[N], &[R])), "t.npz: no array `Z`; the arrays are N, R");
    let z: (&str, &[u64], &[i32]) = ("Z", &[2], &[1, 8]);
    assert_eq!(of(&archive(&[N, z], &[R])), "t.npz: Z has shape [2], but N adds up to 3 atoms");
    let z: (&str, &[u64], &[i32]) = ("Z", &[3], &[1, 8, 200]);
    assert_eq!(of(&archive(&[N, z], &[R])), "t.npz: Z[2] = 200 is not an atomic number");
    let n: (&str, &[u64], &[i32]) = ("N", &[2], &[4, -1]);
    assert_eq!(of(&archive(&[n, Z], &[R])), "t.npz: N says that system 1 has -1 atoms");
    let r: (&str, &[u64], &[f32]) = ("R", &[9], R.2);
    assert_eq!(of(&archive(&[N, Z], &[r])), "t.npz: R has shape [9], expected [3, 3] as N adds up");
    let e: (&str, &[u64], &[f32]) = ("E", &[1], &[0.0]);
    assert_eq!(of(&archive(&[N, Z], &[R, e])), "t.npz: E has shape [1], expected [2] or [2, 1]");
    let e: (&str, &[u64], &[f32]) = ("E", &[2], &[0.0, f32::NAN]);
    assert_eq!(of(&archive(&[N, Z], &[R, e])), "t.npz: system 1: E is not finite; repair or remove this system");
    let keys = LabelKeys { energy: Some("U".into()), ..LabelKeys::default() };
    let bytes = archive(&[N, Z], &[R]);
    let error = NpzReader::from_reader(Cursor::new(bytes), Path::new("t.npz"), &keys).unwrap_err();
    assert_eq!(error.to_string(), "t.npz: no array `U`; the arrays are N, R, Z");
}

#[test]
fn huge_claims_do_not_allocate() {
    let mut npy = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }";
    npy.extend(format!("{header:70}").bytes());
    assert!(array::parse(&npy).unwrap_err().contains("takes 8000000000000 bytes, but holds 0"));
    let npy = String::from_utf8_lossy(&npy[10..]).replace("1000000000000,", "99999999999999999, 99999999999999999");
    let npy = [b"\x93NUMPY\x02\x00".to_vec(), (npy.len() as u32).to_le_bytes().to_vec(), npy.into()].concat();
    assert_eq!(array::parse(&npy).unwrap_err(), "has an impossible shape");
}

#[test]
fn fortran_order_and_big_endian() {
    let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    let mut npy = [b"\x93NUMPY\x01\x00".to_vec(), (header.len() as u16).to_le_bytes().to_vec()].concat();
    npy.extend(header.bytes());
    npy.extend([0, 0, 0, 3, 0, 1, 0, 4, 0, 2, 0, 5]);
    let array = array::parse(&npy).unwrap();
    assert_eq!(array.numbers, array::Numbers::Integer(vec![0, 1, 2, 3, 4, 5]));
}

#[test]
fn writes_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let e: (&str, &[u64], &[f32]) = ("E", &[2], &[0.1, 0.2]);
    let mut systems = parse(&archive(&[N, Z, ("id", &[2], &[3, 4])], &[R, ("F", R.1, R.2), e])).unwrap();
    let mut writer = NpzWriter::create(&path).unwrap();
    systems.iter().for_each(|s| writer.write(s).unwrap());
    writer.finish().unwrap();
    assert_eq!(read_all(&path, &LabelKeys::default()).unwrap().0, systems);

    let mut writer = NpzWriter::create(&path).unwrap();
    writer.write(&systems[0]).unwrap();
    systems[1].forces = None;
    assert_eq!(
        writer.write(&systems[1]).unwrap_err().to_string(),
        "system 1: has no forces, but the systems before it have; the npz layout needs all or none"
    );
}

/// The folder of large test data beside the workspace, where there is one.
fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    folder.is_dir().then_some(folder)
}

#[test]
fn coll_archives_equal_their_text() {
    let Some(data) = data() else {
        eprintln!("left out: the data folder ../shared/data is absent");
        return;
    };
    for split in ["val", "test"] {
        let (npz, _) = read_all(&data.join(format!("coll_npz/xcoll_{split}.npz")), &LabelKeys::default()).unwrap();
        let text = read_all(&data.join(format!("xcoll/{split}.extxyz.xz")), &LabelKeys::default()).unwrap();
        assert_eq!((npz.len(), text.1.energy.as_deref()), (1000, Some("energy")));
        for (a, b) in npz.iter().zip(&text.0) {
            assert_eq!(a.atomic_numbers, b.atomic_numbers);
            let close = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| (x - y).abs() < 2e-5);
            assert!(close(a.positions.as_flattened(), b.positions.as_flattened()));
            assert!(close(&[a.energy.unwrap()], &[b.energy.unwrap()]));
            assert!(close(a.forces.as_ref().unwrap().as_flattened(), b.forces.as_ref().unwrap().as_flattened()));
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), header in ".{0,80}") {
        let _ = parse(&bytes);
        let _ = array::parse(&bytes);
        let _ = array::parse(&[b"\x93NUMPY\x01\x00\x50\x00", header.as_bytes(), &bytes].concat());
    }

    #[test]
    fn no_damaged_archive_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = archive(&[N, Z], &[R]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse(&bytes);
    }
}

#[test]
fn units_in_an_array_of_text_are_refused() {
    let npy = |descr: &str, payload: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (), }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), payload].concat()
    };
    let wide: Vec<u8> = "hartree".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    assert_eq!(array::parse_text(&npy("<U7", &wide)).as_deref(), Some("hartree"));
    assert_eq!(array::parse_text(&npy("|S4", b"eV\0\0")).as_deref(), Some("eV"));
    assert_eq!(array::parse_text(&npy("<f8", &[0; 8])), None);
    assert_eq!(array::parse_text(&npy("<U7", &wide[..9])), None);
    assert_eq!(array::parse_text(&npy("<U99999999999999999999", &wide)), None);

    let with = |name: &str, bytes: &[u8]| {
        let mut zip = npyz::zip::ZipWriter::new_append(Cursor::new(archive(&[N, Z], &[R]))).unwrap();
        zip.start_file(name, Default::default()).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
        parse(&zip.finish().unwrap().into_inner())
    };
    let error = with("energy_unit.npy", &npy("<U7", &wide)).unwrap_err().to_string();
    assert!(error.starts_with("t.npz: `energy_unit` says `hartree` (hartree), but energies are read in eV"), "{error}");
    assert_eq!(with("energy_unit.npy", &npy("|S4", b"eV\0\0")).unwrap().len(), 2);
    assert_eq!(with("energy_unit.npy", b"no array").unwrap().len(), 2);
}
