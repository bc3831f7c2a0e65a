//! Page of all commands with their help.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

const HEAD: &str = "# Commands\n\n\
<!-- Written by `cargo xtask reference` from the program's own help. -->\n\n\
`potstill help COMMAND` prints the same. Results go to standard output, everything else to standard error.\n";

/// Help of the program and of every command, depth first.
pub fn page(program: &Path) -> Result<String> {
    let mut page = HEAD.to_owned();
    add(program, &[], &mut page)?;
    Ok(page)
}

fn add(program: &Path, words: &[String], page: &mut String) -> Result<()> {
    let help = help(program, words)?;
    let name = [&["potstill".to_owned()], words].concat().join(" ");
    *page += &format!("\n## {name}\n\n```text\n{}\n```\n", trimmed(&help));
    for command in commands(&help) {
        add(program, &[words, &[command]].concat(), page)?;
    }
    Ok(())
}

/// Text without spaces at the ends of lines.
fn trimmed(text: &str) -> String {
    text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn help(program: &Path, words: &[String]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(words).arg("--help").env_remove("COLUMNS").env_remove("CLICOLOR_FORCE");
    let output = command.output().with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "potstill {} --help: {}", words.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Names of the commands that a help page lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, list)| list);
    let lines = list.lines().take_while(|line| !line.is_empty());
    let name = |line: &str| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned);
    lines.filter(|line| !line.starts_with("   ")).filter_map(name).filter(|name| name != "help").collect()
}
