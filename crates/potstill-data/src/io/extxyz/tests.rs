use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::io::{LabelKeys, read_all};
use potstill_core::system::{Column, ColumnValues, System, Value};

fn parse_with(text: &[u8], keys: &LabelKeys) -> potstill_core::Result<Vec<System>> {
    ExtxyzReader::from_reader(text, Path::new("t.xyz"), keys).collect()
}

fn parse(text: &str) -> System {
    parse_with(text.as_bytes(), &LabelKeys::default()).unwrap().remove(0)
}

fn error(text: &str) -> String {
    parse_with(text.as_bytes(), &LabelKeys::default()).unwrap_err().to_string()
}

const SLAB: &str = concat!(
    "2\nLattice=\"2 0 0 0 3 0 0 0 4\" Properties=species:S:1:pos:R:3:move_mask:L:1:tags:I:1:q:R:1:forces:R:3 ",
    "energy=-1.5 free_energy=-2 name=\"a b\" flag virial=\"24 0 0 0 0 0 0 0 0\" pbc=\"T T F\"\n",
    "Cu 0 0 0 F 0 0.1 1 2 3\nH 1.0 -2e0 +.5 T 2 0.2 0 0 0\n\n"
);

#[test]
fn everything_in_a_slab() {
    let system = parse(SLAB);
    assert_eq!(system.atomic_numbers, [29, 1]);
    assert_eq!(system.positions[1], [1.0, -2.0, 0.5]);
    assert_eq!(system.cell.unwrap(), [[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 4.0]]);
    assert_eq!(system.pbc, [true, true, false]);
    assert_eq!(system.energy, Some(-1.5));
    assert_eq!(system.forces.unwrap()[0], [1.0, 2.0, 3.0]);
    assert_eq!(system.tags.unwrap(), [0, 2]);
    assert_eq!(system.fixed.unwrap(), [true, false]);
    // virial 24 eV in 24 Å³: a compressed system, so the stress is negative.
    assert_eq!(system.stress.unwrap()[0], [-1.0, -0.0, -0.0]);
    assert_eq!(system.metadata.get("name"), Some(&Value::Text("a b".into())));
    assert_eq!(system.metadata.get("flag"), Some(&Value::Bool(true)));
    assert_eq!(system.metadata.get("free_energy"), Some(&Value::Int(-2)));
    assert_eq!(system.metadata.len(), 3);
}

#[test]
fn plain_xyz() {
    let system = parse("2\nwater it's\nO 0 0 0 9 9\n1 0 0 1.0D+00\r\n");
    assert_eq!(system.atomic_numbers, [8, 1]);
    assert_eq!(system.positions[1], [0.0, 0.0, 1.0]);
    assert_eq!(system.metadata.get("comment"), Some(&Value::Text("water it's".into())));
    assert_eq!((system.pbc, system.energy, system.forces), ([false; 3], None, None));
}

#[test]
fn masks_voigt_and_defaults() {
    let text = "2\nLattice=\"1 0 0 0 1 0 0 0 1\" Properties=pos:R:3:Z:I:1:move_mask:L:3 stress=\"1 2 3 4 5 6\"\n";
    let system = parse(&format!("{text}0 0 0 6 F F F\n0 0 0 1 F T F\n"));
    assert_eq!(system.fixed.unwrap(), [true, false]);
    assert_eq!(system.stress.unwrap(), [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]);
    assert_eq!(system.pbc, [true; 3]);
    let json = parse("1\nProperties=species:S:1:pos:R:3:fixed:I:1 stress=[[1,2,3],[4,5,6],[7,8,9]]\nH 0 0 0 1\n");
    assert_eq!(json.stress.unwrap()[1], [4.0, 5.0, 6.0]);
    assert_eq!(json.fixed.unwrap(), [true]);
}

#[test]
fn keys_are_chosen_once() {
    let rows = "H 0 0 0 1 2 3 4 5 6\n";
    let head = "1\nProperties=species:S:1:pos:R:3:dft_forces:R:3:force:R:3 dft_energy=1 total_energy=2\n";
    let text = format!("1\n\nH 0 0 0\n{head}{rows}1\nenergy=5\nH 0 0 0\n");
    let mut reader = ExtxyzReader::from_reader(text.as_bytes(), Path::new("t"), &LabelKeys::default());
    let systems: Vec<System> = reader.by_ref().map(Result::unwrap).collect();
    let energies: Vec<_> = systems.iter().map(|s| s.energy).collect();
    assert_eq!(energies, [None, Some(1.0), None]);
    assert_eq!(systems[1].forces.as_deref(), Some(&[[1.0, 2.0, 3.0]][..]));
    let chosen = reader.chosen();
    assert_eq!((chosen.energy.as_deref(), chosen.forces.as_deref()), (Some("dft_energy"), Some("dft_forces")));
    assert_eq!(
        (&chosen.other_energies[..], &chosen.other_forces[..]),
        (&["total_energy".into()][..], &["force".into()][..])
    );
    let keys = LabelKeys { energy: Some("total_energy".into()), forces: Some("force".into()), stress: None };
    let system = parse_with(format!("{head}{rows}").as_bytes(), &keys).unwrap().remove(0);
    assert_eq!((system.energy, system.forces.unwrap()[0]), (Some(2.0), [4.0, 5.0, 6.0]));
}

#[test]
fn absent_keys_are_named_with_those_there() {
    let of = |energy: Option<&str>, forces: Option<&str>, stress: Option<&str>| {
        let [energy, forces, stress] = [energy, forces, stress].map(|k| k.map(str::to_owned));
        parse_with(SLAB.as_bytes(), &LabelKeys { energy, forces, stress }).unwrap_err().to_string()
    };
    let keys = "Lattice, Properties, energy, free_energy, name, flag, virial, pbc";
    assert_eq!(of(Some("e"), None, None), format!("t.xyz:2: no energy key `e`; here are {keys}"));
    let columns = "species, pos, move_mask, tags, q, forces";
    assert_eq!(of(None, Some("f"), None), format!("t.xyz:2: no forces column `f`; here are {columns}"));
    assert_eq!(of(None, None, Some("s")), format!("t.xyz:2: no stress key `s`; here are {keys}"));
    assert_eq!(of(None, Some("q"), None), "t.xyz:2: Properties: expected q:R:3, found q:R:1");
}

#[test]
fn error_texts() {
    let with_forces = "1\nProperties=species:S:1:pos:R:3:forces:R:3\n";
    let cases = [
        ("x\n", "t.xyz:1: expected an atom count, found `x`"),
        ("-3\n", "t.xyz:1: expected an atom count, found `-3`"),
        ("0\n\n", "t.xyz:1: a system needs at least one atom"),
        ("2\n", "t.xyz:1: expected the comment line of a system, found end of file"),
        ("1000000000000\n\nH 0 0 0\n", "t.xyz:3: expected 1000000000000 atoms, found 1 before end of file"),
        ("2\n\nH 0 0 0\n\n \n", "t.xyz:5: expected 2 atoms, found 1 before end of file"),
        ("1\n\nH 0 0\n", "t.xyz:3: expected at least 4 columns, found 3 (atom 1 of 1)"),
        (
            "2\na=1 Properties=species:S:1:pos:R:3\nH 0 0 0\n2\n",
            "t.xyz:4: expected 4 columns, found 1 (atom 2 of 2); is the atom count on line 1 right?",
        ),
        ("1\nProperties=species:S:1:pos:R:3\nH 0 0 0 0\n", "t.xyz:3: expected 4 columns, found 5 (atom 1 of 1)"),
        ("1\nProperties=species:S:1:pos:R:3\n0 0 0 H 1\n", "t.xyz:3: expected 4 columns, found 5 (atom 1 of 1)"),
        ("1\n\nXx 0 0 0\n", "t.xyz:3: unknown element `Xx` (atom 1 of 1)"),
        ("1\n\nCU 0 0 0\n", "t.xyz:3: unknown element `CU`; did you mean `Cu`? (atom 1 of 1)"),
        ("1\n\nH 0 nan 0\n", "t.xyz:3: position is not finite: `nan`; repair or remove this system (atom 1 of 1)"),
        ("1\n\nH 0 1e999 0\n", "t.xyz:3: position is not finite: `1e999`; repair or remove this system (atom 1 of 1)"),
        ("1\n\nH 0 1x 0\n", "t.xyz:3: position: expected a number, found `1x` (atom 1 of 1)"),
        ("1\nenergy=NaN\nH 0 0 0\n", "t.xyz:2: energy is not finite: `NaN`; repair or remove this system"),
        ("1\nenergy=low\nH 0 0 0\n", "t.xyz:2: energy: expected a number, found `low`"),
        ("1\nstress=\"1 2\"\nH 0 0 0\n", "t.xyz:2: stress: expected 9 numbers, or 6 (xx yy zz yz xz xy), found `1 2`"),
        ("1\nLattice=\"1 2\"\nH 0 0 0\n", "t.xyz:2: Lattice: expected 9 numbers, found `1 2`"),
        ("1\nLattice=\"1 0 0 0 1 0 0 0 inf\"\nH 0 0 0\n", "t.xyz:2: Lattice is not finite: `1 0 0 0 1 0 0 0 inf`"),
        ("1\npbc=\"T X T\"\nH 0 0 0\n", "t.xyz:2: pbc: expected T or F three times, found `T X T`"),
        ("1\nname=\"x\nH 0 0 0\n", "t.xyz:2: the \" opened at key `name` is never closed"),
        ("1\nProperties=\nH 0 0 0\n", "t.xyz:2: Properties `` is not a list of name:type:count"),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), expected);
    }
    assert_eq!(
        error(&format!("{with_forces}H 0 0 0 0 0 -inf\n")),
        "t.xyz:3: force is not finite: `-inf`; repair or remove this system (atom 1 of 1)"
    );
    let virial = LabelKeys { stress: Some("virial".into()), ..LabelKeys::default() };
    assert_eq!(
        parse_with(b"1\nvirial=\"1 0 0 0 1 0 0 0 1\"\nH 0 0 0\n", &virial).unwrap_err().to_string(),
        "t.xyz:2: virial needs a Lattice with a volume to become a stress"
    );
}

#[test]
fn reader_ends_after_an_error() {
    let text = "1\n\nQ 0 0 0\n1\n\nH 0 0 0\n";
    let items: Vec<_> = ExtxyzReader::from_reader(text.as_bytes(), Path::new("t"), &LabelKeys::default()).collect();
    assert_eq!(items.len(), 1);
}

fn round_trip(systems: &[System], name: &str) -> Vec<System> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut writer = ExtxyzWriter::create(&path).unwrap();
    systems.iter().for_each(|s| writer.write(s).unwrap());
    writer.finish().unwrap();
    read_all(&path, &LabelKeys::default()).unwrap().0
}

#[test]
fn further_columns_and_compression() {
    let system = parse(SLAB);
    for name in ["a.xyz", "a.extxyz.gz", "a.xyz.xz", "a.xyz.zst"] {
        assert_eq!(round_trip(&[system.clone(), system.clone()], name), [system.clone(), system.clone()]);
    }
    let mut more = system.clone();
    let pair = Column { width: 2, values: ColumnValues::Int(vec![1, 2, 3, 4]) };
    more.columns.extend([("atomic_energies".into(), Column::real(vec![0.1, -3.0])), ("pair".into(), pair)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    let mut writer = ExtxyzWriter::create(&path).unwrap();
    writer.write(&more).unwrap();
    assert!(!path.exists());
    writer.finish().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(":forces:R:3:atomic_energies:R:1:pair:I:2:q:R:1 "), "{text}");
    assert!(text.ends_with("H 1.0 -2.0 0.5 T 2 0.0 0.0 0.0 -3.0 3 4 0.2\n"), "{text}");
    assert_eq!(read_all(&path, &LabelKeys::default()).unwrap().0, [more]);
}

#[test]
fn columns_of_every_type_are_kept() {
    let head = "Properties=\"species:S:1:pos:R:3:charges:R:1:momenta:R:3:mol id:I:1:frozen:L:2:residue:S:1:Z:I:1\"";
    let system = parse(&format!("2\n{head} a=1\nO 0 0 0 -0.8 1 2 3 7 T F WAT 8\nH 0 0 1 nan 0 0 1D0 -7 False 1 é 1\n"));
    let of = |name: &str| (system.columns[name].width, system.columns[name].values.clone());
    assert_eq!(of("momenta"), (3, ColumnValues::Real(vec![1.0, 2.0, 3.0, 0.0, 0.0, 1.0])));
    assert_eq!(of("mol id"), (1, ColumnValues::Int(vec![7, -7])));
    assert_eq!(of("frozen"), (2, ColumnValues::Bool(vec![true, false, false, true])));
    assert_eq!(of("residue"), (1, ColumnValues::Text(vec!["WAT".into(), "é".into()])));
    assert_eq!(of("Z"), (1, ColumnValues::Int(vec![8, 1])));
    assert!(matches!(&system.columns["charges"].values, ColumnValues::Real(v) if v[0] == -0.8 && v[1].is_nan()));
    let mut finite = system.clone();
    finite.columns.insert("charges".into(), Column::real(vec![-0.8, 0.4]));
    assert_eq!(round_trip(&[finite.clone()], "a.xyz"), [finite]);
    let bad = |row: &str| error(&format!("1\nProperties=species:S:1:pos:R:3:q:I:1:l:L:1\nH 0 0 0 {row}\n"));
    assert_eq!(bad("1.5 T"), "t.xyz:3: q: expected an integer, found `1.5` (atom 1 of 1)");
    assert_eq!(bad("1 yes"), "t.xyz:3: l: expected T or F, found `yes` (atom 1 of 1)");
}

/// What is no label when it is read is none when it is written and read again, in whatever order systems come.
#[test]
fn other_labels_stay_what_they_are() {
    let rows = "H 0 0 0 1 2 3\n";
    let labelled = format!("1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\n{rows}");
    let other = format!("1\nProperties=species:S:1:pos:R:3:dft_forces:R:3 dft_energy=2\n{rows}");
    let mut systems = parse_with(format!("{labelled}{other}").as_bytes(), &LabelKeys::default()).unwrap();
    assert_eq!((systems[1].energy, &systems[1].forces), (None, &None));
    systems.reverse();
    let read = round_trip(&systems, "a.xyz");
    assert_eq!((read[0].energy, read[1].energy), (None, Some(1.0)));
    assert_eq!((&read[0].forces, &read[1].forces), (&None, &systems[1].forces));
    assert_eq!(read[0].columns["other_dft_forces"], systems[0].columns["dft_forces"]);
    let keys = LabelKeys { forces: Some("REF".into()), ..LabelKeys::default() };
    let two = "1\nProperties=species:S:1:pos:R:3:REF:R:3:forces:R:3 energy=1\nH 0 0 0 1 2 3 4 5 6\n";
    let system = parse_with(two.as_bytes(), &keys).unwrap().remove(0);
    let read = round_trip(std::slice::from_ref(&system), "a.xyz").remove(0);
    assert_eq!((&read.forces, &read.columns["other_forces"]), (&system.forces, &system.columns["forces"]));
}

#[test]
fn unwritable_systems_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ExtxyzWriter::create(&folder.path().join("a.xyz")).unwrap();
    let mut system = parse(SLAB);
    let column = |name: &str, values: ColumnValues| {
        let columns = [(name.to_owned(), Column { width: 1, values })].into();
        System { columns, ..system.clone() }
    };
    for (wrong, message) in [
        (column("a", ColumnValues::Real(vec![1.0])), "column a has 1 entries for 2 atoms, 1 each"),
        (column("a:b", ColumnValues::Bool(vec![true; 2])), "`a:b` cannot be the name of a column"),
        (column("a", ColumnValues::Text(vec!["b".into(), "c d".into()])), "column a: `c d` is not one word"),
    ] {
        assert_eq!(writer.write(&wrong).unwrap_err().to_string(), format!("system 0 (a b): {message}"));
    }
    system.energy = Some(f64::NAN);
    assert_eq!(writer.write(&system).unwrap_err().to_string(), "system 0 (a b): energy: a number is not finite");
    system.tags = Some(vec![]);
    assert_eq!(writer.write(&system).unwrap_err().to_string(), "system 0 (a b): tags has 0 rows for 2 atoms");
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn finite() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        finite().prop_map(Value::Real),
        ".{0,12}".prop_map(Value::Text),
        "[\"'{}\\[\\]=\\\\ \nTFn0-9.,-]{0,8}".prop_map(Value::Text),
        "_JSON .{0,5}".prop_map(Value::Text),
        prop::collection::vec((any::<i32>(), ".{0,5}"), 0..4).prop_map(|v| Value::Json(serde_json::json!(v))),
    ]
}

fn column(n: usize) -> impl Strategy<Value = Column> {
    (1_usize..4).prop_flat_map(move |width| {
        let n = n * width;
        let values = prop_oneof![
            prop::collection::vec(finite(), n).prop_map(ColumnValues::Real),
            prop::collection::vec(any::<i64>(), n).prop_map(ColumnValues::Int),
            prop::collection::vec(any::<bool>(), n).prop_map(ColumnValues::Bool),
            prop::collection::vec("[^ \t\n\r\x0C]{1,5}", n).prop_map(ColumnValues::Text),
        ];
        values.prop_map(move |values| Column { width, values })
    })
}

prop_compose! {
    fn systems()(n in 1_usize..6)(
        atomic_numbers in prop::collection::vec(1..=118_u8, n),
        positions in prop::collection::vec([finite(), finite(), finite()], n),
        forces in prop::option::of(prop::collection::vec([finite(), finite(), finite()], n)),
        tags in prop::option::of(prop::collection::vec(any::<i32>(), n)),
        fixed in prop::option::of(prop::collection::vec(any::<bool>(), n)),
        cell in prop::option::of([[finite(), finite(), finite()], [finite(), finite(), finite()], [finite(), finite(), finite()]])
            .prop_map(|cell| cell.filter(|c| c.as_flattened().iter().any(|v| *v != 0.0))),
        stress in prop::option::of([[finite(), finite(), finite()], [finite(), finite(), finite()], [finite(), finite(), finite()]]),
        energy in prop::option::of(finite()),
        pbc in any::<[bool; 3]>(),
        metadata in prop::collection::btree_map("m[a-z \"'=\\\\äé{\\[]{0,6}", values(), 0..5),
        columns in prop::collection::btree_map("c[a-z \"'=\\\\é{\\[,]{0,6}", column(n), 0..4),
    ) -> System {
        System { atomic_numbers, positions, cell, pbc, energy, forces, stress, tags, fixed, columns, metadata }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(systems in prop::collection::vec(systems(), 1..4)) {
        prop_assert_eq!(round_trip(&systems, "a.xyz"), systems);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_with(&bytes, &LabelKeys::default());
        let _ = parse_with(&[b"1\n", &bytes[..]].concat(), &LabelKeys::default());
    }

    #[test]
    fn no_comment_panics(line in "[a-bE=\"'{}\\[\\]\\\\ 0-9:SRé,]{0,60}") {
        let _ = parse_with(format!("1\n{line}\nH 0 0 0\n").as_bytes(), &LabelKeys::default());
        let _ = parse_with(format!("1\nProperties={line} Lattice={line}\nH 0 0 0\n").as_bytes(), &LabelKeys::default());
    }

    #[test]
    fn no_damaged_file_panics(changes in prop::collection::vec((0..SLAB.len(), any::<u8>(), 0..4_u8), 1..6)) {
        let mut bytes = SLAB.repeat(2).into_bytes();
        for (at, byte, kind) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at % bytes.len();
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let _ = parse_with(&bytes, &LabelKeys::default());
    }
}

#[test]
fn units_that_are_not_ours_are_refused() {
    let system = |units: &str| format!("1\n{units} energy=-0.5\nH 0 0 0\n");
    assert_eq!(
        error(&system("energy_unit=hartree")),
        "t.xyz:2: `energy_unit` says `hartree` (hartree), but energies are read in eV, lengths in Å and forces in eV/Å; \
         convert the file, or remove this key if it is wrong"
    );
    assert!(error(&system("units=\"kcal/mol, Angstrom\"")).contains("(kcal/mol)"));
    assert_eq!(parse(&system("units=\"eV, Angstrom\"")).energy, Some(-0.5));
}
