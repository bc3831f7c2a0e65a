//! Signs at which dynamics stop, as the command line names them.

use anyhow::{Result, anyhow, bail};
use potstill_simulate::StopRule;

/// Rule from words such as `temperature=3000`; none without words.
///
/// # Errors
/// An unknown sign, and a limit that is no positive number.
pub fn rule(words: &[String]) -> Result<Option<StopRule>> {
    let mut rule = StopRule::default();
    for word in words {
        let Some((sign, limit)) = word.split_once('=') else {
            bail!("--stop-when {word}: give a sign and a limit, as temperature=3000");
        };
        let limit: f64 = limit.parse().map_err(|_| anyhow!("--stop-when {word}: the limit must be a number"))?;
        let place = match sign {
            "temperature" => &mut rule.temperature_above,
            "distance" => &mut rule.distance_below,
            "move" => &mut rule.move_above,
            _ => bail!("--stop-when {word}: the signs are temperature (K), distance (Å) and move (Å)"),
        };
        *place = Some(limit);
    }
    rule.check().map_err(|error| anyhow!("--stop-when {error}"))?;
    Ok((!words.is_empty()).then_some(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_limits() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let read = rule(&words(&["temperature=3000", "distance=0.5"])).unwrap().unwrap();
        assert_eq!((read.temperature_above, read.distance_below, read.move_above), (Some(3000.0), Some(0.5), None));
        assert_eq!(rule(&[]).unwrap(), None);
        for word in ["temperature", "temperature=hot", "energy=3", "distance=-1", "move=nan"] {
            let error = rule(&words(&[word])).unwrap_err().to_string();
            assert!(error.starts_with("--stop-when"), "{error}");
        }
    }
}
