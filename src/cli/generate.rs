//! `plimsoll generate`: the man pages and shell completions for the packages. The command is
//! hidden, because users get these files with a package.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The sections of plimsoll(1) that belong to no subcommand, in the language of man pages.
const COMMON_SECTIONS: &str = r#".SH FILES
.TP
\fI/var/lib/plimsoll\fR
the mount point of the daemon: \fBproc/\fR and \fBsys/\fR show each reader the files of the reader's container, \fBcontainers/\fIKEY\fB/\fR shows the files of one container
.TP
\fI/etc/plimsoll/config.toml\fR
the configuration, see \fBplimsoll\-config.toml\fR(5)
.TP
\fI/run/plimsoll\fR
locks and sockets of daemons
.TP
\fI/var/lib/plimsoll\-state/install\fR
the content of each file that \fBplimsoll install\fR has changed, for \fBplimsoll uninstall\fR
.TP
\fI/var/lib/plimsoll\-run\fR
changes of containers of \fBplimsoll run\fR; those of \fB\-\-keep\fR stay below \fIkept\fR, see \fBplimsoll\-kept\fR(1)
.SH "EXIT STATUS"
0 on success, and 125 if Plimsoll itself failed, with one line on standard error.
\fBplimsoll run\fR ends with the status of the container's command, and \fBplimsoll doctor\fR with 1 after warnings and 2 after errors.
\fBplimsoll status\fR ends with 0 if a daemon serves, and otherwise with a status for what readers get, see \fBplimsoll\-status\fR(1).
\fBplimsoll install\fR and \fBuninstall\fR end with 2 if \fB\-\-check\fR finds that something would change.
"#;

/// The packaged configuration. The comment before each key is the text of the man page.
const CONFIGURATION: &str = include_str!("../../packaging/config.toml");

/// Write the man pages or the shell completions into a directory.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Generate {
    /// The files to write
    #[arg(value_enum)]
    artifact: Artifact,
    /// The directory, created if missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Artifact {
    /// man1/plimsoll.1, a page for each subcommand, and man5/plimsoll-config.toml.5
    Man,
    /// Completions for bash, zsh and fish
    Completions,
}

impl Generate {
    /// Writes the files about `program`.
    pub(super) fn run(self, program: &clap::Command) -> Result<()> {
        let directory = &self.directory;
        create_dir(directory)?;
        let command = without_hidden(program);
        match self.artifact {
            Artifact::Man => write_pages(&command, directory),
            Artifact::Completions => {
                let mut command = command;
                for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                    clap_complete::generate_to(shell, &mut command, "plimsoll", directory)
                        .with_context(|| format!("cannot write the completions for {shell}"))?;
                }
                Ok(())
            }
        }
    }
}

/// Returns the command without its hidden subcommands.
fn without_hidden(command: &clap::Command) -> clap::Command {
    let subcommands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    clap::Command::new("plimsoll")
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .subcommands(subcommands.cloned())
}

/// Writes a page for the program, a page for each subcommand, and the page of the configuration.
fn write_pages(command: &clap::Command, directory: &Path) -> Result<()> {
    let (commands, files) = (&directory.join("man1"), directory.join("man5"));
    create_dir(commands)?;
    create_dir(&files)?;
    let mut names = vec!["plimsoll".to_owned()];
    for subcommand in command.get_subcommands() {
        let name = format!("plimsoll-{}", subcommand.get_name());
        let spaced = format!("plimsoll {}", subcommand.get_name());
        let named = subcommand.clone().bin_name(spaced).display_name(&name);
        let named = named.version(env!("CARGO_PKG_VERSION"));
        write_page(named, commands, &name, "")?;
        names.push(name);
    }
    let others: Vec<String> = names
        .iter()
        .skip(1)
        .map(|name| format!("\\fB{}\\fR(1)", name.replace('-', "\\-")))
        .collect();
    let configuration = "\\fBplimsoll\\-config.toml\\fR(5)";
    let more = format!(
        "{COMMON_SECTIONS}.SH \"SEE ALSO\"\n{}, {configuration}\n",
        others.join(", ")
    );
    write_page(command.clone(), commands, "plimsoll", &more)?;
    write(&files.join("plimsoll-config.toml.5"), &configuration_page())
}

/// Returns the man page of the configuration: the text before the first key, then each key with the
/// comment before the key.
fn configuration_page() -> String {
    let mut text = format!(
        ".TH plimsoll\\-config.toml 5 \"\" \"plimsoll {}\"\n.SH NAME\n\
         plimsoll\\-config.toml \\- the configuration of Plimsoll\n.SH DESCRIPTION\n",
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
        text += &format!(".TP\n\\fB{}\\fR\n{}", escape(key), prose(paragraph));
    }
    text + ".SH \"SEE ALSO\"\n\\fBplimsoll\\fR(1), \\fBplimsoll\\-daemon\\fR(1), \\fBplimsoll\\-attach\\fR(1)\n"
}

fn is_key(line: &str) -> bool {
    line.starts_with('#') && !line.starts_with("# ")
}

/// Returns the text of the comments in a paragraph, in the language of man pages.
fn prose(paragraph: &str) -> String {
    let comments = paragraph.lines().filter_map(|line| line.strip_prefix("# "));
    comments.map(|line| escape(line) + "\n").collect()
}

/// Escapes a line of text for a man page.
fn escape(text: &str) -> String {
    // roff reads a line that begins with a full stop or an apostrophe as a request.
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// Writes the page of one command, with further sections at its end.
fn write_page(command: clap::Command, directory: &Path, name: &str, more: &str) -> Result<()> {
    // A page without a date makes builds reproducible.
    let page = clap_mangen::Man::new(command.disable_help_subcommand(true)).date("");
    let page = page.source(concat!("plimsoll ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(more.as_bytes());
    let text = String::from_utf8(text)?;
    write(&directory.join(format!("{name}.1")), &text)
}

fn create_dir(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_default_and_its_meaning_in_the_page_of_the_configuration() {
        let page = configuration_page();
        for key in CONFIGURATION.lines().filter(|line| is_key(line)) {
            let key = escape(&key[1..]);
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
        assert_eq!(escape(".so \\x-y"), "\\&.so \\ex\\-y");
        assert_eq!(escape("'x"), "\\&'x");
    }
}
