//! The command lines with which services start engines: systemd's units with their drop-ins and files
//! of variables, files of options where there is no unit, and the processes that run.

use super::{
    stored::text,
    table::{Engine, EnginePackage},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The directories of units; an earlier one overrides a later one.
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The directories of files of options, named for the service: Debian, Fedora, Alpine and Gentoo.
const OPTIONS: [&str; 3] = ["/etc/default", "/etc/sysconfig", "/etc/conf.d"];

/// A flag of an engine's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag without its value, as it is written.
    pub name: String,
    /// The value; empty where none follows.
    pub value: String,
    /// The file that holds the flag, on the machine; of a running process its `cmdline`.
    pub file: PathBuf,
}

/// A word of a command line, and the file in which it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    file: PathBuf,
}

/// The command lines of one engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLines(Vec<Vec<Word>>);

impl CommandLines {
    /// Reads the command lines of the engine's service below the machine's root directory: first that
    /// of the next start, then that of a process which runs.
    #[must_use]
    pub fn of(root: &Path, package: &EnginePackage) -> CommandLines {
        let mut lines = CommandLines::of_next_start(root, package);
        if service(package.engine).is_some() {
            lines.0.extend(running(root, package.program));
        }
        lines
    }

    /// Reads the command line of the next start of the engine's service, and looks at no process.
    #[must_use]
    pub fn of_next_start(root: &Path, package: &EnginePackage) -> CommandLines {
        let Some(service) = service(package.engine) else {
            return CommandLines::default();
        };
        CommandLines(match unit(root, service) {
            Some(line) => vec![line],
            None => options(root, service),
        })
    }

    /// Returns the first of these flags, given without hyphens, of the first command line that has
    /// one.
    #[must_use]
    pub fn flag(&self, names: &[&str]) -> Option<Flag> {
        self.0.iter().find_map(|line| {
            let (at, word) = line.iter().enumerate().skip(1).find(|(_, word)| {
                let name = word.text.split('=').next().unwrap_or_default();
                name.starts_with('-') && names.contains(&name.trim_start_matches('-'))
            })?;
            let (name, value) = match word.text.split_once('=') {
                Some((name, value)) => (name, value),
                None => (
                    word.text.as_str(),
                    line.get(at + 1).map_or("", |next| next.text.as_str()),
                ),
            };
            Some(Flag {
                name: name.to_owned(),
                value: value.to_owned(),
                file: word.file.clone(),
            })
        })
    }

    /// Returns the arguments of the first command line, without the program.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        let words = self
            .0
            .first()
            .into_iter()
            .flat_map(|line| line.iter().skip(1));
        words.map(|word| word.text.as_str())
    }
}

/// Returns the name of the engine's service.
fn service(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Docker => Some("docker"),
        Engine::Containerd => Some("containerd"),
        Engine::Crio => Some("crio"),
        _ => None,
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Returns the command line of a service's unit; `None` where there is no unit.
fn unit(root: &Path, service: &str) -> Option<Vec<Word>> {
    let name = format!("{service}.service");
    let units = UNITS.map(|directory| Path::new(directory).join(&name));
    let main = units.into_iter().find(|path| below(root, path).is_file())?;
    // Of drop-ins with one name, that of the first directory counts; their names give the order.
    let mut drop_ins = BTreeMap::new();
    for directory in UNITS {
        let directory = Path::new(directory).join(format!("{name}.d"));
        let entries = fs::read_dir(below(root, &directory)).into_iter().flatten();
        for entry in entries.flatten() {
            let file = directory.join(entry.file_name());
            if file.extension().is_some_and(|it| it == "conf") {
                drop_ins.entry(entry.file_name()).or_insert(file);
            }
        }
    }
    let mut start = None;
    let mut variables = BTreeMap::new();
    for file in [main].into_iter().chain(drop_ins.into_values()) {
        for line in logical_lines(&text(&below(root, &file))) {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            match (key.trim(), value.trim()) {
                ("ExecStart", "") => start = None,
                ("ExecStart", value) => start = Some((value.to_owned(), file.clone())),
                ("Environment", value) => variables.extend(
                    words(value)
                        .into_iter()
                        .filter_map(|word| variable(&word, &file)),
                ),
                ("EnvironmentFile", value) => {
                    let path = Path::new(value.trim_start_matches('-')).to_owned();
                    variables.extend(assignments(root, &path));
                }
                _ => {}
            }
        }
    }
    let (line, file) = start?;
    Some(expanded(&line, &file, &variables))
}

/// Returns a line of options for each file of options of the service.
fn options(root: &Path, service: &str) -> Vec<Vec<Word>> {
    let files = OPTIONS.map(|directory| Path::new(directory).join(service));
    let lines = files.iter().map(|file| {
        let all = assignments(root, file);
        let values = all
            .into_iter()
            .filter(|(name, _)| name.ends_with("OPTS") || name.ends_with("OPTIONS"));
        let words = values.flat_map(|(_, (value, _))| words(&value));
        let program = [service.to_owned()];
        let line = program.into_iter().chain(words).map(|text| Word {
            text,
            file: file.clone(),
        });
        line.collect::<Vec<Word>>()
    });
    lines.filter(|line| line.len() > 1).collect()
}

/// Returns the command lines of the processes of that program in the mount namespace of this one.
fn running(root: &Path, program: &str) -> Vec<Vec<Word>> {
    let proc = root.join("proc");
    let own = fs::read_link(proc.join("self/ns/mnt")).ok();
    let mut lines = Vec::new();
    for entry in fs::read_dir(&proc).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let text = text(&entry.path().join("cmdline"));
        let file = Path::new("/proc").join(&name).join("cmdline");
        let words = text.split_terminator('\0').map(|text| Word {
            text: text.to_owned(),
            file: file.clone(),
        });
        let line: Vec<Word> = words.collect();
        let is_program = line.first().is_some_and(|word| {
            Path::new(&word.text)
                .file_name()
                .is_some_and(|name| name == program)
        });
        if is_program && fs::read_link(entry.path().join("ns/mnt")).ok() == own {
            lines.push(line);
        }
    }
    lines
}

/// Returns the lines of a unit or of a file of variables, each with those that continue it. A comment is
/// no line, wherever it stands, and is not continued (systemd.syntax(7)).
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(continued) => begun = begun + continued + " ",
            None => lines.push(std::mem::take(&mut begun) + line),
        }
    }
    lines.push(begun);
    lines
}

type Variables = BTreeMap<String, (String, PathBuf)>;

/// Returns the variables of a file of lines `NAME=VALUE`.
fn assignments(root: &Path, file: &Path) -> Variables {
    let lines = logical_lines(&text(&below(root, file))).into_iter();
    let variables = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim().trim_start_matches("export ");
        let value = value.trim();
        let quoted = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let value = quoted.unwrap_or(value).to_owned();
        Some((name.to_owned(), (value, file.to_owned())))
    });
    variables.collect()
}

fn variable(word: &str, file: &Path) -> Option<(String, (String, PathBuf))> {
    let (name, value) = word.split_once('=')?;
    Some((name.to_owned(), (value.to_owned(), file.to_owned())))
}

/// Returns the words of a command line, in which `$NAME` stands for several words and `${NAME}` for a
/// part of one (systemd.service(5), "Command lines").
fn expanded(line: &str, file: &Path, variables: &Variables) -> Vec<Word> {
    let mut found = Vec::new();
    for word in words(line.trim_start_matches(['@', '-', ':', '+', '!'])) {
        let name = word.strip_prefix('$').filter(|name| !name.starts_with('{'));
        if let Some(name) = name {
            let value = variables.get(name);
            found.extend(value.into_iter().flat_map(|(value, file)| {
                words(value).into_iter().map(|text| Word {
                    text,
                    file: file.clone(),
                })
            }));
            continue;
        }
        let mut word = Word {
            text: word,
            file: file.to_owned(),
        };
        for (name, (value, file)) in variables {
            let place = format!("${{{name}}}");
            if word.text.contains(&place) {
                word.text = word.text.replace(&place, value);
                word.file.clone_from(file);
            }
        }
        found.push(word);
    }
    found
}

/// Splits a text at blanks outside of quotes, and removes the quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_line_of_a_unit_that_is_not_understood_costs_only_itself(
            odd in "[^=\\\\\n]{0,40}", at in 0usize..4,
        ) {
            let mut lines = vec!["[Service]", "Environment=OPTIONS=--debug=x", "ExecStart=/usr/bin/dockerd $OPTIONS"];
            lines.insert(at, &odd);
            let unit = lines.join("\n");
            let path = "usr/lib/systemd/system/docker.service";
            let found = flag(&[(path, &unit)], "debug");
            prop_assert_eq!(found, Some(("x".to_owned(), format!("/{path}"))));
        }
    }

    fn flag(files: &[(&str, &str)], name: &str) -> Option<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let docker = Engine::Docker.packages().next().unwrap();
        let flag = CommandLines::of(root.path(), docker).flag(&[name])?;
        Some((flag.value, flag.file.display().to_string()))
    }

    const UNIT: (&str, &str) = (
        "usr/lib/systemd/system/docker.service",
        "[Service]\nEnvironment='OTHER=--debug'\nEnvironmentFile=-/etc/sysconfig/docker\nExecStart=/usr/bin/dockerd \\\n  --add-runtime x=/x $OPTIONS\n",
    );

    #[test]
    fn a_flag_is_found_in_the_unit_its_drop_ins_and_its_files_of_variables() {
        let options = (
            "etc/sysconfig/docker",
            "# --debug\nOPTIONS=\"--default-runtime nvidia --debug\"\n",
        );
        let value = |value: &str, file: &str| Some((value.to_owned(), file.to_owned()));
        assert_eq!(
            flag(&[UNIT], "add-runtime"),
            value("x=/x", "/usr/lib/systemd/system/docker.service")
        );
        assert_eq!(
            flag(&[UNIT, options], "default-runtime"),
            value("nvidia", "/etc/sysconfig/docker")
        );
        let drop_in = (
            "etc/systemd/system/docker.service.d/nvidia.conf",
            "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --default-runtime=kata\n",
        );
        let file = "/etc/systemd/system/docker.service.d/nvidia.conf";
        assert_eq!(
            flag(&[UNIT, options, drop_in], "default-runtime"),
            value("kata", file)
        );
        assert_eq!(flag(&[UNIT, options, drop_in], "add-runtime"), None);
        // A unit that does not name the file does not read it; without a unit, the service does.
        let plain = (
            "usr/lib/systemd/system/docker.service",
            "ExecStart=/usr/bin/dockerd -H fd://\n",
        );
        assert_eq!(flag(&[plain, options], "default-runtime"), None);
        assert_eq!(
            flag(&[options], "default-runtime"),
            value("nvidia", "/etc/sysconfig/docker")
        );
    }

    #[test]
    fn a_comment_costs_no_line_and_an_odd_byte_only_its_own() {
        let unit =
            "[Service]\n# \u{fffd} -- \\\nExecStart=/usr/bin/dockerd \\\n; note \\\n  --debug\n";
        let unit = ("usr/lib/systemd/system/docker.service", unit);
        let file = "/usr/lib/systemd/system/docker.service".to_owned();
        assert_eq!(flag(&[unit], "debug").map(|(_, file)| file), Some(file));
    }

    #[test]
    fn a_flag_of_the_process_that_runs_counts_too() {
        let process = (
            "proc/7/cmdline",
            "/usr/sbin/dockerd\0--config-file=/srv/d.json\0",
        );
        let expected = Some(("/srv/d.json".to_owned(), "/proc/7/cmdline".to_owned()));
        assert_eq!(flag(&[process], "config-file"), expected);
        let other = ("proc/7/cmdline", "grep\0--config-file=/srv/d.json\0");
        assert_eq!(flag(&[other], "config-file"), None);
    }
}
