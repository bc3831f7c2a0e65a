//! Answers to a command line that cannot be run: help, the version, or one line about what is wrong with it.

use std::error::Error as _;
use std::io::{ErrorKind as Io, Write};
use std::process::ExitCode;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Exit status when the command line, or anything else, is wrong.
const STATUS: u8 = 2;

/// Prints what the user is to know, and returns the exit status.
pub fn answer(error: &Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match error.print().and_then(|()| std::io::stdout().flush()) {
                Err(error) if error.kind() != Io::BrokenPipe => {
                    complain!("error: standard output: cannot write: {error}");
                    ExitCode::from(STATUS)
                }
                _ => ExitCode::SUCCESS,
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(STATUS)
        }
        _ => {
            complain!("error: {}", one_line(error));
            ExitCode::from(STATUS)
        }
    }
}

/// Explains the fault of a command line, and what it may be, on one line.
fn one_line(error: &Error) -> String {
    let argument = words(error, ContextKind::InvalidArg).unwrap_or_default();
    let flag = argument.split_whitespace().next().unwrap_or_default().trim_end_matches("...").to_owned();
    let value = words(error, ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::ValueValidation => {
            let reason = error.source().map_or_else(|| "is not valid".to_owned(), ToString::to_string);
            format!("{flag} {value}: {reason}")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument}: the value is missing; {}", hint(error)),
        ErrorKind::InvalidValue => {
            let choices = words(error, ContextKind::ValidValue).unwrap_or_default();
            format!("{flag} {value}: must be one of {choices}{}", nearest(error, ContextKind::SuggestedValue))
        }
        ErrorKind::UnknownArgument => {
            let nearest = nearest(error, ContextKind::SuggestedArg);
            format!("{argument}: unknown option or too many arguments{nearest}; {}", hint(error))
        }
        ErrorKind::InvalidSubcommand => {
            let name = words(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("{name}: unknown command{}; {}", nearest(error, ContextKind::SuggestedSubcommand), hint(error))
        }
        ErrorKind::MissingRequiredArgument => format!("{argument}: missing; {}", hint(error)),
        _ => {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            format!("{}; {}", first.split_whitespace().collect::<Vec<_>>().join(" "), hint(error))
        }
    }
}

/// Words that clap noted about an error, as one string.
fn words(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

fn nearest(error: &Error, kind: ContextKind) -> String {
    words(error, kind).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// Hint at the help of the command that was meant.
fn hint(error: &Error) -> String {
    let usage = words(error, ContextKind::Usage).unwrap_or_default();
    let command = usage.trim_start_matches("Usage:").split_whitespace().skip(1);
    let command: Vec<&str> = command.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    format!("see `{} --help`", [&["potstill"], &command[..]].concat().join(" "))
}
