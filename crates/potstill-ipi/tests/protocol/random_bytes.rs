//! Whatever a server sends, a driver ends with a word about it.

use std::io::{self, Cursor, Read, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use potstill_core::Result;
use potstill_ipi::{AtomicUnits, Connection, Driver, Ended, Options};
use proptest::prelude::*;

use crate::potentials::{Springs, water};
use crate::server::positions_message;

/// Words of a server that were written before, and what is answered.
struct Script {
    words: Cursor<Vec<u8>>,
    answers: Arc<Mutex<Vec<u8>>>,
}

impl Read for Script {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.words.read(bytes)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// End of a run, and the answers given.
fn play(potential: &Springs, words: Vec<u8>, options: Options) -> (Result<Ended>, Vec<u8>) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let script = Script { words: Cursor::new(words), answers: Arc::clone(&answers) };
    let driver = Driver::new(potential, &water(), options).unwrap();
    let end = driver.run(Connection::over(script, "script"), &AtomicBool::new(false), &mut |_| {});
    let answers = answers.lock().unwrap().clone();
    (end, answers)
}

fn conversation() -> Vec<u8> {
    let mut words = b"STATUS      INIT        ".to_vec();
    words.extend([0; 4]);
    words.extend(13_i32.to_ne_bytes());
    words.extend(b" batch_size:1STATUS      ");
    for _ in 0..2 {
        words.extend(positions_message([[9.0; 3]; 3], &[[1.0, 2.0, 3.0]; 3]));
        words.extend(b"GETFORCE    STATUS      ");
    }
    words.extend(b"EXIT        ");
    words
}

/// Pieces of which conversations are made, so that random ones get deeper than the first name.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec!["STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT"])
            .prop_map(|name| format!("{name:12}").into_bytes()),
        any::<i32>().prop_map(|n| n.to_ne_bytes().to_vec()),
        (0_i32..5).prop_map(|n| n.to_ne_bytes().to_vec()),
        (0_i32..40).prop_map(|n| {
            let text = format!("batch_size:{n}");
            [b"INIT        ".as_slice(), &[0; 4], &(text.len() as i32).to_ne_bytes(), text.as_bytes()].concat()
        }),
        Just(positions_message([[9.0; 3]; 3], &[[1.0; 3]; 3])),
        prop::collection::vec(any::<u8>(), 0..100),
        prop::collection::vec(any::<f64>(), 0..60).prop_map(|v| v.iter().flat_map(|x| x.to_ne_bytes()).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn bytes_end_a_run_without_panic(pieces in prop::collection::vec(piece(), 0..12)) {
        let words = pieces.concat();
        let (end, answers) = play(&Springs::default(), words, Options::default());
        if let Err(error) = end {
            prop_assert!(!error.to_string().contains('\n'));
        }
        let known = ["NEEDINIT", "READY", "HAVEDATA", "FORCEREADY"].map(|name| format!("{name:12}").into_bytes());
        prop_assert!(answers.is_empty() || known.iter().any(|name| answers.starts_with(name)));
    }

    #[test]
    fn a_wrong_byte_ends_a_run_without_panic(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut words = conversation();
        let place = place.index(words.len());
        words[place] = byte;
        if let (Err(error), _) = play(&Springs::default(), words, Options::default()) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn positions_arrive_as_they_were_sent(
        positions in prop::array::uniform3(prop::array::uniform3(-1e3..1e3_f64)),
    ) {
        let potential = Springs::default();
        let units = AtomicUnits { bohr: 0.5, hartree: 1.0 };
        let (end, _) = play(
            &potential,
            [positions_message([[9.0; 3]; 3], &positions), b"EXIT        ".to_vec()].concat(),
            Options { units, ..Options::default() },
        );
        prop_assert!(end.is_ok());
        prop_assert_eq!(&potential.batches()[0][0].positions, &positions.map(|r| r.map(|x| 0.5 * x)));
    }
}

#[test]
fn the_conversation_is_a_good_one() {
    let (end, answers) = play(&Springs::default(), conversation(), Options::default());
    assert_eq!(end.unwrap().statistics.n_requests, 2);
    // Two states, and twice forces and a state.
    assert_eq!(answers.len(), 2 * 12 + 2 * (12 + 8 + 4 + 72 + 72 + 4 + 12));
}
