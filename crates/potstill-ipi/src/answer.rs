//! The message with energies and forces.

use potstill_core::system::Mat3;
use potstill_core::{Error, Prediction, Result};

use crate::message::name;
use crate::options::Options;

/// Reason why direct forces are refused.
const DIRECT: &str = "the model's forces are direct, not derivatives of its energy: dynamics would not conserve energy, and there \
                      is no virial; use a model with gradient forces, or allow direct ones (--allow-direct; the virial is zero)";

/// Message `FORCEREADY` for `n_asked` systems of `n_atoms` atoms each; where there are more than predicted, the last prediction is
/// repeated.
///
/// Energies in hartree (f64 each), number of atoms (i32), forces in hartree/bohr, virials in hartree, then for each system the
/// length (i32) and the bytes of its extras. The protocol's virial is `−∂E/∂strain` as here, its matrix transposed.
///
/// # Errors
/// Forces without virial unless they are allowed, numbers that are not finite, a prediction for other systems.
pub(crate) fn answer(prediction: &Prediction, n_asked: usize, n_atoms: usize, options: &Options) -> Result<Vec<u8>> {
    let n_predicted = prediction.energy.len();
    check(prediction, n_atoms, options)?;
    let (hartree, bohr) = (options.units.hartree, options.units.bohr);
    let indices = || (0..n_asked).map(|i| i.min(n_predicted - 1));
    let mut message = Vec::with_capacity(64 + n_asked * (84 + 24 * n_atoms));
    message.extend(name("FORCEREADY"));
    for i in indices() {
        message.extend((prediction.energy[i] / hartree).to_ne_bytes());
    }
    message.extend(length(n_atoms)?);
    for i in indices() {
        for force in prediction.forces[i * n_atoms..][..n_atoms].iter().flatten() {
            message.extend((force * bohr / hartree).to_ne_bytes());
        }
    }
    for i in indices() {
        let virial = prediction.virial.as_ref().map_or([[0.0; 3]; 3], |virials| virials[i]);
        for number in transposed(virial).as_flattened() {
            message.extend((number / hartree).to_ne_bytes());
        }
    }
    for i in indices() {
        let extras = match options.atomic_energies {
            true => extras(&prediction.atomic_energies[i * n_atoms..][..n_atoms]),
            false => String::new(),
        };
        message.extend(length(extras.len())?);
        message.extend(extras.as_bytes());
    }
    Ok(message)
}

fn check(prediction: &Prediction, n_atoms: usize, options: &Options) -> Result<()> {
    let n = prediction.energy.len();
    if prediction.virial.is_none() && !options.allow_direct {
        return Err(Error::Other(DIRECT.to_owned()));
    }
    let n_virials = prediction.virial.as_ref().map_or(n, Vec::len);
    let sizes =
        [n_virials, prediction.forces.len() / n_atoms.max(1), prediction.atomic_energies.len() / n_atoms.max(1)];
    if n == 0 || sizes.iter().any(|&size| size != n) {
        return Err(Error::Other(format!(
            "the potential predicted {n} energies but parts of another batch; report this"
        )));
    }
    let virials = prediction.virial.iter().flatten().flat_map(|virial| virial.as_flattened());
    let numbers = || prediction.forces.as_flattened().iter().chain(virials.clone()).chain(&prediction.atomic_energies);
    for (index, energy) in prediction.energy.iter().enumerate() {
        if !energy.is_finite() {
            return Err(Error::system(index, format!("its energy is {energy} eV; look at its positions")));
        }
    }
    match numbers().find(|number| !number.is_finite()) {
        Some(number) => {
            Err(Error::Other(format!("a force, virial or atomic energy is {number}; look at the positions")))
        }
        None => Ok(()),
    }
}

/// A number of things as the protocol counts.
fn length(n: usize) -> Result<[u8; 4]> {
    let n = i32::try_from(n).map_err(|_| Error::Other(format!("{n} are too many for the i-PI protocol")))?;
    Ok(n.to_ne_bytes())
}

fn transposed(matrix: Mat3) -> Mat3 {
    [0, 1, 2].map(|column| matrix.map(|row| row[column]))
}

/// JSON with the energy of each atom in eV. (Finite numbers are printed by Rust as JSON has them.)
fn extras(atomic_energies: &[f64]) -> String {
    let numbers: Vec<String> = atomic_energies.iter().map(|energy| format!("{energy:?}")).collect();
    format!("{{\"atomic_energies\": [{}]}}", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::AtomicUnits;

    fn prediction() -> Prediction {
        Prediction {
            energy: vec![27.0, 54.0],
            atomic_energies: vec![27.0, 54.0],
            forces: vec![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            virial: Some(vec![[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], [[0.5; 3]; 3]]),
        }
    }

    fn options() -> Options {
        Options { units: AtomicUnits { bohr: 0.5, hartree: 27.0 }, ..Options::default() }
    }

    #[test]
    fn virials_are_transposed_and_the_last_prediction_repeated() {
        let bytes = answer(&prediction(), 3, 1, &options()).unwrap();
        assert_eq!(bytes[..12], *b"FORCEREADY  ");
        let numbers = |from: usize, n: usize| -> Vec<f64> {
            let bytes = &bytes[from..from + 8 * n];
            bytes.chunks_exact(8).map(|b| f64::from_ne_bytes(b.try_into().unwrap())).collect()
        };
        assert_eq!(numbers(12, 3), [1.0, 2.0, 2.0]);
        assert_eq!(bytes[36..40], 1_i32.to_ne_bytes());
        let per = 0.5 / 27.0;
        assert_eq!(numbers(40, 9), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 5.0, 6.0].map(|f| f * per));
        assert_eq!(numbers(112, 9), [1.0, 4.0, 7.0, 2.0, 5.0, 8.0, 3.0, 6.0, 9.0].map(|v| v / 27.0));
        assert_eq!(numbers(184, 18), [0.5 / 27.0; 18]);
        assert_eq!(bytes[328..], [0; 12]);
    }

    #[test]
    fn extras_are_json() {
        let options = Options { atomic_energies: true, ..options() };
        let bytes = answer(&prediction(), 1, 1, &options).unwrap();
        let text = std::str::from_utf8(&bytes[bytes.len() - 27..]).unwrap();
        assert_eq!(text, "{\"atomic_energies\": [27.0]}");
        assert_eq!(bytes[bytes.len() - 31..][..4], 27_i32.to_ne_bytes());
        let energies = [-1e-300, 1.5e22, 0.1];
        let read: serde_json::Value = serde_json::from_str(&extras(&energies)).unwrap();
        assert_eq!(read["atomic_energies"], serde_json::json!(energies));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let refused = |change: &dyn Fn(&mut Prediction)| {
            let mut prediction = prediction();
            change(&mut prediction);
            answer(&prediction, 2, 1, &options()).unwrap_err().to_string()
        };
        assert_eq!(refused(&|p| p.energy[1] = f64::NAN), "system 1: its energy is NaN eV; look at its positions");
        assert!(refused(&|p| p.forces[0][0] = f64::INFINITY).starts_with("a force, virial or atomic energy is inf"));
        assert!(refused(&|p| p.virial = None).starts_with("the model's forces are direct"));
        assert!(refused(&|p| p.energy.push(0.0)).starts_with("the potential predicted 3 energies"));
        let direct = Prediction { virial: None, ..prediction() };
        let bytes = answer(&direct, 1, 1, &Options { allow_direct: true, ..options() }).unwrap();
        assert_eq!(bytes[bytes.len() - 76..], [0; 76]);
    }
}
