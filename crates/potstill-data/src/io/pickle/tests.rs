use proptest::prelude::*;

use super::*;

fn every(_: &str, _: &str) -> bool {
    true
}

fn nothing(_: &str, _: &str) -> bool {
    false
}

fn refusal(bytes: &[u8]) -> String {
    Pickle::parse(bytes, 0, nothing).err().map(String::from).unwrap()
}

#[test]
fn plain_data_of_each_protocol() {
    // {'a': [1, -2, 2.5, None, True], 'b': ('x', 70000)} as Python writes it with protocols 0, 2 and 4.
    let zero: &[u8] = b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naF2.5\naNaI01\nasVb\np3\n(Vx\np4\nI70000\ntp5\ns.";
    let two: &[u8] = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x04\x00\x00\x00\x00\x00\
        \x00N\x88eX\x01\x00\x00\x00bq\x03X\x01\x00\x00\x00xq\x04Jp\x11\x01\x00\x86q\x05u.";
    let four: &[u8] = b"\x80\x04\x95\x2f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\
        \x04\x00\x00\x00\x00\x00\x00N\x88e\x8c\x01b\x94\x8c\x01x\x94Jp\x11\x01\x00\x86\x94u.";
    for bytes in [zero, two, four] {
        let pickle = Pickle::parse(bytes, 0, nothing).unwrap();
        let json = to_json(pickle.root()).unwrap();
        assert_eq!(json.to_string(), r#"{"a":[1,-2,2.5,null,true],"b":["x",70000]}"#);
        assert_eq!(pickle.end(), bytes.len());
        assert_eq!(pickle.root().at(&["b"]).and_then(|b| b.item(1)?.as_i64()), Some(70_000));
        for end in 0..bytes.len() {
            assert_eq!(Pickle::parse(&bytes[..end], 0, nothing).err(), Some(Failure::CutShort));
        }
    }
}

#[test]
fn integers_of_every_width() {
    let of = |bytes: &[u8]| format!("{:?}", Pickle::parse(bytes, 0, nothing).unwrap().root().kind());
    assert_eq!(of(b"\x8a\x00."), "Int(0)");
    assert_eq!(of(b"\x8a\x01\xff."), "Int(-1)");
    assert_eq!(of(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), format!("Int({})", i64::MAX));
    assert_eq!(of(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."), "BigInt([0, 0, 0, 0, 0, 0, 0, 0, 1])");
}

#[test]
fn nothing_is_run() {
    let expected =
        |class: &str| format!("the pickle names the class `{class}`, which this reader does not know; nothing was run");
    assert_eq!(refusal(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R."), expected("posix.system"));
    assert_eq!(refusal(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R."), expected("os.system"));
    assert_eq!(refusal(b"(S'ls'\nios\nsystem\n."), expected("os.system"));
    // Allowed, it is still only noted down.
    let pickle = Pickle::parse(b"cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.".as_slice(), 0, every).unwrap();
    assert_eq!(pickle.root().class(), Some(("posix", "system")));
    assert_eq!(to_json(pickle.root()).unwrap(), serde_json::Value::Null);
}

#[test]
fn error_texts() {
    assert_eq!(refusal(b"h\x07."), "byte 2 of the pickle: it recalls value 7, which it has not stored");
    assert_eq!(refusal(b"\x80\x09."), "byte 2 of the pickle: protocol 9; protocols 0 to 5 are known");
    assert_eq!(refusal(b"]N0a."), "byte 4 of the pickle: a value is missing");
    assert_eq!(refusal(b"\xff."), "byte 1 of the pickle: instruction 0xff, which this reader does not know");
    assert_eq!(refusal(b"NK\x01R."), "byte 4 of the pickle: something that is not a class is called");
    assert_eq!(refusal(b"X\x01\x00\x00\x00\xff."), "the pickle has text that is not UTF-8 at byte 5");
    assert_eq!(refusal(b"B\xff\xff\xff\xffx."), "the pickle is cut short");
}

#[test]
fn bombs_stay_small() {
    // Each list holds the one before twice: 2^40 leaves when written out.
    let mut bomb = b"]q\x00".to_vec();
    for i in 0..40_u8 {
        bomb.extend([b']', b'q', i + 1, b'(', b'h', i, b'h', i, b'e']);
    }
    bomb.push(b'.');
    let pickle = Pickle::parse(&bomb[..], 0, nothing).unwrap();
    assert!(to_json(pickle.root()).unwrap_err().contains("nested deeper than 32"));
    // A list inside itself.
    let circle = Pickle::parse(b"]q\x00h\x00a.".as_slice(), 0, nothing).unwrap();
    assert!(to_json(circle.root()).is_err());
    // Nested so deeply that recursion of any kind would end the program.
    let deep = [vec![b']'; 400_000], vec![b'a'; 399_999], vec![b'.']].concat();
    drop(Pickle::parse(&deep[..], 0, nothing).unwrap());
    assert!(refusal(&vec![b']'; 2_000_000]).contains("more than 524288 values"));
    assert!(refusal(&vec![b'N'; 2_000_000]).contains("more than 1048576 references"));
    assert!(refusal(&vec![b'('; 2_000_000]).contains("more than 1048576 references"));
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(pickle) = Pickle::parse(&bytes[..], 0, every) {
            let _ = to_json(pickle.root());
            pickle.values().for_each(|v| { v.describe(); });
        }
    }

    #[test]
    fn any_instructions_give_a_value_or_an_error(
        codes in prop::collection::vec(prop::sample::select(b"(.012KNRQa]}b)estulho\x81\x85\x86\x88\x8c\x92\x93\x94".to_vec()), 0..60)
    ) {
        let _ = Pickle::parse(&codes[..], 0, every);
    }
}
