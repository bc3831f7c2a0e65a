//! Attributes that ignore a test, with a reason, where its files are absent.
//!
//! They stand before `#[test]`. The decision is made when the test is compiled; cargo compiles it again when the
//! environment variable changes.
//!
//! ```ignore
//! #[needs_full_set]
//! #[test]
//! fn five_steps_of_the_reference() {}
//! ```

use proc_macro::TokenStream;

// The file of potstill-fixtures: crates that are not published can be packed only if none needs another.
mod places;

/// Ignores the test unless the full set of fixtures is at hand (`POTSTILL_FIXTURES`, or beside the repository).
#[proc_macro_attribute]
pub fn needs_full_set(_: TokenStream, test: TokenStream) -> TokenStream {
    let reason = "needs the full set of fixtures: set POTSTILL_FIXTURES";
    unless(places::is_full_set(&places::fixtures()), places::FIXTURES_VARIABLE, reason, test)
}

/// Ignores the test unless the large datasets are at hand (`POTSTILL_DATA`, or beside the repository).
#[proc_macro_attribute]
pub fn needs_datasets(_: TokenStream, test: TokenStream) -> TokenStream {
    let reason = "needs the large datasets: set POTSTILL_DATA";
    unless(places::datasets().is_some(), places::DATA_VARIABLE, reason, test)
}

/// The test, ignored unless its files are there, and a constant that makes the compiler watch `variable`.
fn unless(is_there: bool, variable: &str, reason: &str, test: TokenStream) -> TokenStream {
    let ignore = if is_there { String::new() } else { format!("#[ignore = {reason:?}]") };
    let watch = format!("const _: Option<&str> = option_env!({variable:?});");
    let parts = [ignore, watch].map(|text| text.parse::<TokenStream>().expect("valid Rust"));
    let [ignore, watch] = parts;
    watch.into_iter().chain(ignore).chain(test).collect()
}
