//! `plimsoll generate`: the man pages and completions of the packages; hidden, for users have them.

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is told of no subcommand in particular, in the language of man pages.
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

/// Write the man pages, or what shells complete, into a directory.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Generate {
    /// What
    #[arg(value_enum)]
    what: What,
    /// Where; it is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// plimsoll.1 and a page for each subcommand
    Man,
    /// For bash, zsh and fish
    Completions,
}

impl Generate {
    pub(super) fn run(self) -> Result<()> {
        let directory = &self.directory;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let command = shown(&super::Command::command());
        match self.what {
            What::Man => pages(&command, directory),
            What::Completions => {
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
    let mut names = vec!["plimsoll".to_owned()];
    for subcommand in command.get_subcommands() {
        let name = format!("plimsoll-{}", subcommand.get_name());
        let spaced = format!("plimsoll {}", subcommand.get_name());
        let named = subcommand.clone().bin_name(spaced).display_name(&name);
        let named = named.version(env!("CARGO_PKG_VERSION"));
        page(named, directory, &name, "")?;
        names.push(name);
    }
    let others: Vec<String> = names
        .iter()
        .skip(1)
        .map(|name| format!("\\fB{}\\fR(1)", name.replace('-', "\\-")))
        .collect();
    let more = format!("{MORE}.SH \"SEE ALSO\"\n{}\n", others.join(", "));
    page(command.clone(), directory, "plimsoll", &more)
}

fn page(command: clap::Command, directory: &Path, name: &str, more: &str) -> Result<()> {
    // The same program makes the same page, whenever it is built.
    let page = clap_mangen::Man::new(command.disable_help_subcommand(true)).date("");
    let page = page.source(concat!("plimsoll ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(more.as_bytes());
    let path = directory.join(format!("{name}.1"));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
