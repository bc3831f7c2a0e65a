//! Help that fits, teaches and can be copied.

use std::path::Path;

use super::*;

/// Lines of a screen.
const SCREEN: usize = 24;
/// The list of commands is longer.
const LIST: usize = 33;

/// All commands with their full names, `help` left out.
fn commands() -> Vec<(String, clap::Command)> {
    fn add(name: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        all.push((name.to_owned(), command.clone()));
        for inner in command.get_subcommands().filter(|c| c.get_name() != "help") {
            add(&format!("{name} {}", inner.get_name()), inner, all);
        }
    }
    let mut program = Cli::program().term_width(80);
    program.build();
    let mut all = Vec::new();
    add("potstill", &program, &mut all);
    all
}

/// The command lines after "Example:" in a command's description.
fn examples(command: &clap::Command) -> Vec<String> {
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    about.split("Example: ").skip(1).map(|rest| rest.split("\n\n").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn short_help_fits_a_screen() {
    let mut failures = Vec::new();
    for (name, command) in commands() {
        let help = command.clone().term_width(80).render_help().to_string();
        let most = if name == "potstill" { LIST } else { SCREEN };
        let is_wide = |line: &str| line.chars().count() > 80 && !line.starts_with("Usage:");
        if help.lines().count() > most || help.lines().any(is_wide) {
            failures.push(format!("{name}: {} lines\n{help}", help.lines().count()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn long_help_has_an_example_that_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, command) in commands() {
        if command.get_subcommands().next().is_some() {
            continue;
        }
        let examples = examples(&command);
        assert!(!examples.is_empty(), "{name}: no example");
        for example in examples {
            let words: Vec<&str> = example.split_whitespace().take_while(|word| *word != ">").collect();
            assert!(example.starts_with(&name), "{name}: {example}");
            Cli::program().try_get_matches_from(&words).unwrap_or_else(|e| panic!("{example}: {e}"));
            // What lies in a folder of the repository is there; a bare name stands for the user's own file.
            for word in words.iter().skip(1).filter(|word| word.starts_with("configs/") || word.starts_with("data/")) {
                assert!(root.join(word).is_file(), "{example}: {word} is not in the repository");
            }
        }
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::program().debug_assert();
}
