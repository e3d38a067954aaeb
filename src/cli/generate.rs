//! `plimsoll generate`: the man pages and completions of the packages; hidden, for users have them.

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Artifact is told of no subcommand in particular, in the language of man pages.
const MORE: &str = r#".SH FILES
.TP
\fI/var/lib/plimsoll\fR
where the daemon serves: \fBproc/\fR and \fBsys/\fR show each reader its own container's files, \fBcontainers/\fIKEY\fB/\fR one container's
.TP
\fI/run/plimsoll\fR
locks and sockets of daemons
.SH "EXIT STATUS"
0 on success, and 125 if Plimsoll itself failed, with one line on standard error.
\fBplimsoll run\fR ends with its command's status, and \fBplimsoll doctor\fR with 1 after warnings and 2 after errors.
"#;

/// The configuration with a comment before each key, which is all that its man page says.
const CONFIGURATION: &str = include_str!("../../packaging/config.toml");

/// Write the man pages, or what shells complete, into a directory.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Generate {
    /// What
    #[arg(value_enum)]
    what: Artifact,
    /// Where; it is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Artifact {
    /// man1/plimsoll.1, a page for each subcommand, and man5/plimsoll-config.toml.5
    Man,
    /// For bash, zsh and fish
    Completions,
}

impl Generate {
    pub(super) fn run(self) -> Result<()> {
        let directory = &self.directory;
        make(directory)?;
        let command = shown(&super::Cli::command());
        match self.what {
            Artifact::Man => pages(&command, directory),
            Artifact::Completions => {
                let mut command = command;
                for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                    clap_complete::generate_to(shell, &mut command, "plimsoll", directory)
                        .with_context(|| format!("cannot write what {shell} completes"))?;
                }
                Ok(())
            }
        }
    }
}

/// The program as users see it.
fn shown(command: &clap::Command) -> clap::Command {
    let subcommands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    clap::Command::new("plimsoll")
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .subcommands(subcommands.cloned())
}

/// A page for the program, and one for each subcommand.
fn pages(command: &clap::Command, directory: &Path) -> Result<()> {
    let (commands, files) = (&directory.join("man1"), directory.join("man5"));
    make(commands)?;
    make(&files)?;
    let mut names = vec!["plimsoll".to_owned()];
    for subcommand in command.get_subcommands() {
        let name = format!("plimsoll-{}", subcommand.get_name());
        let spaced = format!("plimsoll {}", subcommand.get_name());
        let named = subcommand.clone().bin_name(spaced).display_name(&name);
        let named = named.version(env!("CARGO_PKG_VERSION"));
        page(named, commands, &name, "")?;
        names.push(name);
    }
    let others: Vec<String> = names
        .iter()
        .skip(1)
        .map(|name| format!("\\fB{}\\fR(1)", name.replace('-', "\\-")))
        .collect();
    let configuration = "\\fBplimsoll\\-config.toml\\fR(5)";
    let more = format!(
        "{MORE}.SH \"SEE ALSO\"\n{}, {configuration}\n",
        others.join(", ")
    );
    page(command.clone(), commands, "plimsoll", &more)?;
    write(&files.join("plimsoll-config.toml.5"), &configured())
}

/// The page of the configuration: what stands before the first key, and each key with the comment
/// before it.
fn configured() -> String {
    let mut text = format!(
        ".TH plimsoll\\-config.toml 5 \"\" \"plimsoll {}\"\n.SH NAME\n\
         plimsoll\\-config.toml \\- where Plimsoll serves, and whom\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut paragraphs = CONFIGURATION.split("\n\n");
    text += &prose(paragraphs.next().unwrap_or_default());
    text += ".SH KEYS\n";
    for paragraph in paragraphs {
        let key = paragraph.lines().find(|line| is_key(line));
        let key = key
            .and_then(|key| key.strip_prefix('#'))
            .unwrap_or_default();
        text += &format!(".TP\n\\fB{}\\fR\n{}", plain(key), prose(paragraph));
    }
    text + ".SH \"SEE ALSO\"\n\\fBplimsoll\\fR(1), \\fBplimsoll\\-daemon\\fR(1), \\fBplimsoll\\-attach\\fR(1)\n"
}

fn is_key(line: &str) -> bool {
    line.starts_with('#') && !line.starts_with("# ")
}

/// The text of comments, in the language of man pages.
fn prose(paragraph: &str) -> String {
    let comments = paragraph.lines().filter_map(|line| line.strip_prefix("# "));
    comments.map(|line| plain(line) + "\n").collect()
}

fn plain(text: &str) -> String {
    // A full stop or an apostrophe at the beginning of a line would be a request.
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

fn page(command: clap::Command, directory: &Path, name: &str, more: &str) -> Result<()> {
    // The same program makes the same page, whenever it is built.
    let page = clap_mangen::Man::new(command.disable_help_subcommand(true)).date("");
    let page = page.source(concat!("plimsoll ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(more.as_bytes());
    let text = String::from_utf8(text)?;
    write(&directory.join(format!("{name}.1")), &text)
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_default_and_its_meaning_in_the_page_of_the_configuration() {
        let page = configured();
        for key in CONFIGURATION.lines().filter(|line| is_key(line)) {
            let key = plain(&key[1..]);
            let at = page.find(&format!(".TP\n\\fB{key}\\fR\n")).unwrap();
            let meaning = page[at..].lines().nth(2).unwrap();
            assert!(
                meaning.len() > 20 && !meaning.starts_with('.'),
                "{key}: {meaning}"
            );
        }
    }

    #[test]
    fn no_line_of_a_comment_is_a_request() {
        assert_eq!(plain(".so \\x-y"), "\\&.so \\ex\\-y");
        assert_eq!(plain("'x"), "\\&'x");
    }
}
