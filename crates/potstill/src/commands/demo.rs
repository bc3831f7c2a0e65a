//! `potstill demo`

use anyhow::{Result, bail};

use crate::Outcome;
use crate::args::DemoArgs;

/// Not yet.
pub fn run(args: &DemoArgs) -> Result<Outcome> {
    bail!("{}: the demo is not there yet", args.out.display())
}
