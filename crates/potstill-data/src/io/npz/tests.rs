use std::io::Cursor;
use std::path::Path;

use npyz::WriterBuilder;
use potstill_fixtures::data;
use potstill_fixtures_macros::needs_datasets;
use proptest::prelude::*;

use super::*;
use crate::io::{LabelKeys, read_all};
use potstill_core::system::{Column, ColumnValues, System, Value};

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

fn parse(bytes: &[u8]) -> potstill_core::Result<Vec<System>> {
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
    assert_eq!(array.values, ColumnValues::Int(vec![0, 1, 2, 3, 4, 5]));
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

#[needs_datasets]
#[test]
fn coll_archives_equal_their_text() {
    for split in ["val", "test"] {
        let (npz, _) = read_all(&data(&format!("coll_npz/xcoll_{split}.npz")), &LabelKeys::default()).unwrap();
        let text = read_all(&data(&format!("xcoll/{split}.extxyz.xz")), &LabelKeys::default()).unwrap();
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

fn round_trip(systems: &[System]) -> (Vec<System>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let mut writer = NpzWriter::create(&path).unwrap();
    systems.iter().for_each(|s| writer.write(s).unwrap());
    let left_out = writer.finish().unwrap();
    (read_all(&path, &LabelKeys::default()).unwrap().0, left_out)
}

#[test]
fn metadata_cells_stress_and_columns_are_kept() {
    let system = |i: usize| System {
        atomic_numbers: vec![6; i + 1],
        positions: vec![[0.5; 3]; i + 1],
        cell: (i == 1).then_some([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.5, 2.0]]),
        pbc: if i == 1 { [true, true, false] } else { [false; 3] },
        energy: Some(-1.0),
        stress: (i == 1).then_some([[0.1; 3]; 3]),
        tags: Some(vec![2; i + 1]),
        fixed: Some((0..=i).map(|k| k == 1).collect()),
        columns: [
            ("momenta".to_owned(), Column { width: 3, values: ColumnValues::Real(vec![0.25; 3 * (i + 1)]) }),
            ("residue".to_owned(), Column { width: 1, values: ColumnValues::Text(vec!["é".into(); i + 1]) }),
        ]
        .into(),
        metadata: [
            ("traj".to_owned(), Value::Text(format!("run {i}"))),
            ("E".to_owned(), Value::Int(i as i64)),
            ("free".to_owned(), Value::Bool(i == 1)),
        ]
        .into(),
        ..System::default()
    };
    let systems = [system(0), system(1), system(2)];
    let (read, left_out) = round_trip(&systems);
    let mut expected = systems.clone();
    for system in &mut expected {
        let field = system.metadata.remove("E").unwrap();
        system.metadata.insert("other_E".to_owned(), field);
    }
    assert_eq!((&read[..], left_out), (&expected[..], Vec::new()));

    // What only some systems have, or what has several types or shapes, has no array.
    let mut systems = systems;
    systems[0].metadata.insert("only".to_owned(), Value::Int(1));
    systems[1].metadata.insert("traj".to_owned(), Value::Int(1));
    systems[2].columns.remove("residue");
    systems[2].tags = None;
    systems.iter_mut().for_each(|s| drop(s.metadata.insert("list".to_owned(), Value::Json(vec![1, 2].into()))));
    let (read, mut left_out) = round_trip(&systems);
    left_out.sort();
    assert_eq!(left_out, ["list", "only", "residue", "tags", "traj"]);
    assert_eq!(read[1].columns.keys().collect::<Vec<_>>(), ["momenta"]);
    assert_eq!(read[1].metadata.keys().collect::<Vec<_>>(), ["free", "other_E"]);
}

#[test]
fn arrays_of_other_programs_are_kept_or_named() {
    let q: (&str, &[u64], &[i32]) = ("q", &[3], &[1, 2, 3]);
    let t: (&str, &[u64], &[i32]) = ("t", &[2, 1], &[4, 5]);
    let odd: (&str, &[u64], &[i32]) = ("odd", &[5], &[0; 5]);
    let (dipole, voigt) = (("dipole", &[2, 3][..], &[0.0; 6][..]), ("stress", &[2, 6][..], &[0.0; 12][..]));
    let bytes = archive(&[N, Z, q, t, odd], &[R, dipole, voigt]);
    let reader = NpzReader::from_reader(Cursor::new(bytes), Path::new("t.npz"), &LabelKeys::default()).unwrap();
    assert_eq!(reader.left_out(), ["dipole", "odd", "stress"]);
    let systems: Vec<System> = reader.map(Result::unwrap).collect();
    assert_eq!(systems[1].columns["q"].values, ColumnValues::Int(vec![3]));
    assert_eq!(systems[1].metadata["t"], Value::Int(5));
}

fn value(kind: u8) -> BoxedStrategy<Value> {
    match kind {
        0 => any::<bool>().prop_map(Value::Bool).boxed(),
        1 => any::<i64>().prop_map(Value::Int).boxed(),
        2 => (-1e9..1e9).prop_map(Value::Real).boxed(),
        _ => "[^\\x00]{0,6}".prop_map(Value::Text).boxed(),
    }
}

fn column(kind: u8, width: usize, n: usize) -> BoxedStrategy<Column> {
    let n = n * width;
    let values = match kind {
        0 => prop::collection::vec(any::<bool>(), n).prop_map(ColumnValues::Bool).boxed(),
        1 => prop::collection::vec(any::<i64>(), n).prop_map(ColumnValues::Int).boxed(),
        2 => prop::collection::vec(-1e9..1e9, n).prop_map(ColumnValues::Real).boxed(),
        _ => prop::collection::vec("[^\\x00]{0,4}", n).prop_map(ColumnValues::Text).boxed(),
    };
    values.prop_map(move |values| Column { width, values }).boxed()
}

/// Systems with the same metadata and columns, as many of them single atoms as not.
fn systems() -> impl Strategy<Value = Vec<System>> {
    let shapes = prop::collection::vec(prop_oneof![Just(1_usize), 1..4_usize], 1..4);
    (shapes, 0..4_u8, 0..4_u8, 1..4_usize).prop_flat_map(|(sizes, kind, other, width)| {
        let each = move |n: usize| {
            (value(kind), column(other, width, n), column(kind, 1, n)).prop_map(move |(value, a, b)| System {
                atomic_numbers: vec![1; n],
                positions: vec![[0.0; 3]; n],
                columns: [("a".to_owned(), a), ("b".to_owned(), b)].into(),
                metadata: [("m".to_owned(), value)].into(),
                ..System::default()
            })
        };
        sizes.into_iter().map(each).collect::<Vec<_>>()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(systems in systems()) {
        let (read, left_out) = round_trip(&systems);
        prop_assert_eq!(read, systems);
        prop_assert_eq!(left_out, Vec::<String>::new());
    }

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
