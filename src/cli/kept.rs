//! `plimsoll kept`: what `plimsoll run --keep` has kept.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::rights::require_root;
use crate::{
    base::{
        output::{self, escaped},
        units::Bytes,
    },
    run::{self, KeptChanges},
};

/// List or remove the changes that containers of plimsoll run --keep have left.
///
/// Prints for each container its name, the size of its changes on disk, and their directory, which
/// another container can take as a --layer.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Kept {
    /// Removes the changes of the containers of these names
    ///
    /// No container may use them as a --layer meanwhile.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    remove: Vec<String>,
    /// Removes the changes of all containers
    #[arg(long, conflicts_with = "remove")]
    remove_all: bool,
    /// The output format of the list
    #[arg(short, long, value_enum, default_value_t = KeptFormat::Table)]
    output: KeptFormat,
}

/// The format of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeptFormat {
    /// For people
    Table,
    /// For programs: an array of objects with `name`, `bytes` and `path`
    Json,
}

const EXAMPLES: &str = "\
Examples:
  plimsoll run --keep --name app -- /app/setup
  plimsoll kept
      app  1240K  /var/lib/plimsoll-run/kept/app
  plimsoll kept --remove app";

impl Kept {
    pub(super) fn run(self) -> Result<u8> {
        require_root("the list of kept changes")?;
        if !self.remove.is_empty() {
            run::remove_kept(&self.remove)?;
            return Ok(0);
        }
        if self.remove_all {
            run::remove_all_kept()?;
            return Ok(0);
        }
        let kept = run::kept_changes()?;
        match self.output {
            KeptFormat::Table => output::print(&table(&kept))?,
            KeptFormat::Json => {
                let object = |it: &KeptChanges| json!({ "name": it.name, "bytes": it.size.0, "path": it.path });
                output::print_json(&kept.iter().map(object).collect::<Vec<_>>())?;
            }
        }
        Ok(0)
    }
}

/// Returns a line for each container.
fn table(kept: &[KeptChanges]) -> String {
    let width = |text: fn(&KeptChanges) -> String| {
        let widths = kept.iter().map(|it| text(it).chars().count());
        widths.max().unwrap_or_default()
    };
    let name = |it: &KeptChanges| escaped(&it.name).to_string();
    let size = |it: &KeptChanges| rounded(it.size).to_string();
    let (names, sizes) = (width(name), width(size));
    let lines = kept.iter().map(|it| {
        let (name, size, path) = (name(it), size(it), escaped(&it.path));
        format!("{name:names$}  {size:>sizes$}  {path}\n")
    });
    lines.collect()
}

/// Returns a size in whole megabytes if it has many.
fn rounded(size: Bytes) -> Bytes {
    let (megabyte, many) = (1 << 20, 10 << 20);
    match size.0 >= many {
        true => Bytes(size.0.next_multiple_of(megabyte)),
        false => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_has_a_line_with_its_columns_below_those_of_the_others() {
        let kept = [("a", 4096), ("longer", (20 << 20) + 1)].map(|(name, size)| KeptChanges {
            name: name.to_owned(),
            path: format!("/kept/{name}").into(),
            size: Bytes(size),
        });
        assert_eq!(
            table(&kept),
            "a        4K  /kept/a\nlonger  21M  /kept/longer\n"
        );
        assert_eq!(table(&[]), "");
    }
}
