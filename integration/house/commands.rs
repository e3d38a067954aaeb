//! The commands in the documents: the program takes each one with its options, and a script of the tree
//! names each of its options.

use std::fs;

use super::{check, documents::documents, source::root};
use crate::harness::plimsoll;

/// Subcommands whose last arguments are a command line: their own options end at `--`.
const WITH_COMMAND: [&str; 2] = ["run", "runtime"];

/// The simple commands of a line of shell, each as its words, without comments and redirections.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut calls = vec![Vec::new()];
    let (mut word, mut quote) = (None::<String>, None);
    let end = |calls: &mut Vec<Vec<String>>, word: &mut Option<String>| {
        if let (Some(call), Some(word)) = (calls.last_mut(), word.take()) {
            call.push(word);
        }
    };
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => end(&mut calls, &mut word),
            (None, '|' | '&' | ';' | '<' | '>') => {
                end(&mut calls, &mut word);
                calls.push(Vec::new());
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    end(&mut calls, &mut word);
    calls.retain(|call| !call.is_empty());
    calls
}

/// The arguments of the program under test in a call; `None` of a call of another program.
fn arguments(call: &[String]) -> Option<Vec<String>> {
    let is_before = |word: &&String| *word == "sudo" || word.contains('=');
    let before = call.iter().take_while(is_before).count();
    let (program, rest) = call.get(before..)?.split_first()?;
    let rest = match program.as_str() {
        "cargo" if rest.first().is_some_and(|word| word == "run") => {
            let begin = rest.iter().position(|word| word == "--")?;
            &rest[begin + 1..]
        }
        program if program.rsplit('/').next() == Some("plimsoll") => rest,
        _ => return None,
    };
    // A variable of the shell stands for a number or a name.
    let value = |word: &String| match word.contains('$') {
        true => "1".to_owned(),
        false => word.clone(),
    };
    Some(rest.iter().map(value).collect())
}

/// Returns the complaint of the program about a call. `--help` at the end of the options makes the program
/// examine all options before it, print its help and do nothing.
fn refused(arguments: &[String]) -> Option<String> {
    let options = arguments.iter().position(|word| word == "--");
    let takes_command = arguments
        .first()
        .is_some_and(|name| WITH_COMMAND.contains(&name.as_str()));
    if takes_command && options.is_none() && arguments.len() > 1 {
        return Some("has no -- before the command".to_owned());
    }
    let mut asked = arguments.to_owned();
    asked.insert(options.unwrap_or(arguments.len()), "--help".to_owned());
    let output = plimsoll().args(asked).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (!output.status.success()).then_some(said)
}

/// The options in a call of a script of the tree that the script does not name. A script that runs a bench
/// passes options on to it.
fn unknown_options(call: &[String]) -> Vec<String> {
    let program = call.iter().find(|word| *word != "sudo");
    let path = program.map(|word| root().join(word.trim_start_matches("./")));
    let Some(Ok(script)) = path.map(fs::read_to_string) else {
        return Vec::new();
    };
    if script.contains("cargo bench") {
        return Vec::new();
    }
    let options = call.iter().take_while(|word| *word != "--");
    let options = options.filter(|word| word.starts_with("--"));
    let unknown = options.filter(|option| !script.contains(option.as_str()));
    unknown
        .map(|option| format!("the script has no {option}"))
        .collect()
}

#[test]
fn a_command_of_a_document_is_one_that_the_program_takes() {
    let (mut seen, mut findings) = (0, Vec::new());
    for document in documents() {
        for line in document.joined_commands() {
            for call in calls(&line) {
                let arguments = arguments(&call);
                seen += usize::from(arguments.is_some());
                let refused = arguments.and_then(|arguments| refused(&arguments));
                let wrong = unknown_options(&call).into_iter().chain(refused);
                let path = document.path.display();
                findings.extend(wrong.map(|wrong| format!("{path}: `{line}`: {wrong}")));
            }
        }
    }
    check(&findings);
    assert!(seen > 40, "the documents have only {seen} commands");
}

#[test]
fn an_unknown_subcommand_option_or_value_is_refused() {
    let refused = |line: &str| {
        let calls = calls(line);
        refused(&arguments(&calls[0]).unwrap())
    };
    for right in [
        "plimsoll run -m 256M --cpus 1 -- free -m | head -1 # memory",
        "sudo target/release/plimsoll attach web",
        "cargo run --release -- run -m 1G -- free --no-such-option",
        "plimsoll show --pid \"$pid\" meminfo",
    ] {
        assert_eq!(refused(right), None, "{right}");
    }
    for wrong in [
        "plimsoll rum -- free",
        "plimsoll run --memroy 1G -- free",
        "plimsoll show --pid many meminfo",
        "plimsoll run free",
        "plimsoll install dokcer",
    ] {
        assert!(refused(wrong).is_some(), "{wrong}");
    }
}

#[test]
fn a_line_of_shell_is_taken_apart_into_its_calls() {
    let words = |line| calls(line).concat().join(" ");
    assert_eq!(words("a 'b c' && d \"e|f\" # g"), "a b c d e|f");
    assert_eq!(calls("a | b; c > d"), [["a"], ["b"], ["c"], ["d"]]);
    assert_eq!(arguments(&calls("docker run plimsoll")[0]), None);
    let call = calls("./integration/check --no-such-option -- --other").remove(0);
    assert_eq!(
        unknown_options(&call),
        ["the script has no --no-such-option"]
    );
}
