//! Places in a network where features can be taken.

use std::fmt;
use std::str::FromStr;

/// Place in a network where features can be taken; layers are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tap {
    /// After the message of a PaiNN layer, `M<i>`.
    Message(usize),
    /// After the update of a PaiNN layer, `U<i>`.
    Update(usize),
    /// After a SchNet interaction, `I<i>`.
    Interaction(usize),
    /// After a block of GemNet-OC, `B<i>`: features of atoms and edges.
    Block(usize),
    /// Output of an output block of GemNet-OC, `X<i>`; `X0` comes before the first block.
    Output(usize),
    /// Input of the heads of GemNet-OC, `head`.
    Head,
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(i) => write!(f, "M{i}"),
            Self::Update(i) => write!(f, "U{i}"),
            Self::Interaction(i) => write!(f, "I{i}"),
            Self::Block(i) => write!(f, "B{i}"),
            Self::Output(i) => write!(f, "X{i}"),
            Self::Head => write!(f, "head"),
        }
    }
}

impl FromStr for Tap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a tap; taps are written M<i>, U<i> (PaiNN), I<i> (SchNet), from 1, or B<i>, X<i>, head \
                 (GemNet-OC)"
            )
        };
        if text == "head" {
            return Ok(Self::Head);
        }
        let (kind, number) = text.split_at_checked(1).ok_or_else(wrong)?;
        let layer = number.parse().map_err(|_| wrong())?;
        match kind {
            "X" => return Ok(Self::Output(layer)),
            _ if layer == 0 => return Err(wrong()),
            _ => {}
        }
        match kind {
            "B" => Ok(Self::Block(layer)),
            "M" => Ok(Self::Message(layer)),
            "U" => Ok(Self::Update(layer)),
            "I" => Ok(Self::Interaction(layer)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_read_as_they_are_written() {
        for tap in [Tap::Message(1), Tap::Update(12), Tap::Interaction(3), Tap::Block(2), Tap::Output(0), Tap::Head] {
            assert_eq!(tap.to_string().parse(), Ok(tap));
        }
        for wrong in ["", "U", "U0", "B0", "Y1", "1", "Uone", "Ü1", "heads"] {
            assert!(wrong.parse::<Tap>().is_err(), "{wrong}");
        }
    }
}
