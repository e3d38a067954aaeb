//! Pure. Parses the options that mount something: `--volume`, `--mount` and `--tmpfs`.

use std::path::{Component, Path, PathBuf};

use crate::{
    base::units::Bytes,
    run::options::{
        parse::size,
        request::{OptionError, Volume, VolumeSource},
    },
};

/// The directories that are mounted after the volumes: a volume below one would be covered.
const KERNEL_DIRS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The options of the command line that mount something, in the order in which the mounts are made.
#[derive(Debug, Default)]
pub struct VolumeOptions<'a> {
    /// `--volume`.
    pub volume: &'a [String],
    /// `--mount`.
    pub mount: &'a [String],
    /// `--tmpfs`.
    pub tmpfs: &'a [String],
}

/// Parses every option that mounts something.
///
/// # Errors
///
/// As for [`volume`], [`mount`] and [`tmpfs`], and two of the same destination.
pub fn volumes(options: &VolumeOptions<'_>) -> Result<Vec<Volume>, OptionError> {
    type Parse = fn(&str) -> Result<Volume, OptionError>;
    let kinds: [(&str, &[String], Parse); 3] = [
        ("volume", options.volume, volume),
        ("mount", options.mount, mount),
        ("tmpfs", options.tmpfs, tmpfs),
    ];
    let mut all: Vec<Volume> = Vec::new();
    for (option, texts, parse) in kinds {
        for text in texts {
            let parsed = parse(text)?;
            if all.iter().any(|other| other.target == parsed.target) {
                return Err(OptionError::Volume {
                    option,
                    text: text.clone(),
                    wrong: "another volume has the same destination",
                });
            }
            all.push(parsed);
        }
    }
    Ok(all)
}

/// Parses `--volume`: `SRC:DST`, `SRC:DST:ro`, `SRC:DST:rw`, or `DST`.
///
/// # Errors
///
/// A text of another form, and a `DST` that is not an absolute path below `/` or lies in /proc,
/// /sys or /dev.
pub fn volume(text: &str) -> Result<Volume, OptionError> {
    let wrong = refused("volume", text);
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match *parts.as_slice() {
        [target] => (None, target, false),
        [source, target] => (Some(source), target, false),
        [source, target, "ro"] => (Some(source), target, true),
        [source, target, "rw"] => (Some(source), target, false),
        [_, _, _] => return Err(wrong("write ro or rw after the second colon")),
        _ => return Err(wrong("write SRC:DST, SRC:DST:ro, or DST")),
    };
    if source == Some("") {
        return Err(wrong("the source is empty"));
    }
    if source.is_some_and(|source| !source.contains('/') && !source.starts_with('.')) {
        return Err(wrong(
            "named volumes are not supported: write the source as a path, like ./data",
        ));
    }
    Ok(Volume {
        source: match source {
            Some(source) => VolumeSource::Host(source.into()),
            None => VolumeSource::Fresh,
        },
        target: destination(target).map_err(&wrong)?,
        read_only,
    })
}

/// Parses `--tmpfs`: `DST`, or `DST:OPTION,...` with options of Docker.
///
/// # Errors
///
/// As for [`volume`], and an option that is not known.
pub fn tmpfs(text: &str) -> Result<Volume, OptionError> {
    let wrong = refused("tmpfs", text);
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let mut tmpfs = Tmpfs::default();
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("ro", "") => read_only = true,
            ("exec", "") => tmpfs.is_executable = true,
            ("rw" | "noexec" | "nosuid" | "nodev", "") => {}
            ("size", value) => tmpfs.size = Some(size("tmpfs", value)?),
            ("mode", value) => tmpfs.set_mode(value).map_err(&wrong)?,
            _ => return Err(wrong("the options are size=SIZE, mode=MODE, ro and exec")),
        }
    }
    Ok(Volume {
        source: tmpfs.source(),
        target: destination(target).map_err(&wrong)?,
        read_only,
    })
}

/// Parses `--mount`: `type=bind,src=SRC,dst=DST[,readonly]`, and the types `volume` and `tmpfs` without a
/// source.
///
/// # Errors
///
/// As for [`volume`], a key or a type that is not known, and a source that does not go with the type.
pub fn mount(text: &str) -> Result<Volume, OptionError> {
    let wrong = refused("mount", text);
    let (mut kind, mut source, mut target) = ("volume", None, "");
    let mut tmpfs = Tmpfs::default();
    let mut read_only = false;
    for field in text.split(',') {
        match field.split_once('=').unwrap_or((field, "")) {
            ("type", value) => kind = value,
            ("source" | "src", value) => source = Some(value).filter(|value| !value.is_empty()),
            ("destination" | "dst" | "target", value) => target = value,
            ("readonly" | "ro", "" | "true" | "1") => read_only = true,
            ("readonly" | "ro", "false" | "0") => read_only = false,
            ("tmpfs-size", value) => tmpfs.size = Some(size("mount", value)?),
            ("tmpfs-mode", value) => tmpfs.set_mode(value).map_err(&wrong)?,
            _ => {
                return Err(wrong(
                    "the keys are type, src, dst, readonly, tmpfs-size and tmpfs-mode",
                ));
            }
        }
    }
    let source = match (kind, source) {
        ("bind", Some(source)) => VolumeSource::Host(source.into()),
        ("bind", None) => return Err(wrong("a bind needs src=SRC")),
        ("volume", None) => VolumeSource::Fresh,
        ("volume", Some(_)) => {
            return Err(wrong(
                "named volumes are not supported: write type=bind,src=PATH",
            ));
        }
        ("tmpfs", None) => tmpfs.source(),
        ("tmpfs", Some(_)) => return Err(wrong("a tmpfs has no source")),
        _ => return Err(wrong("the types are bind, volume and tmpfs")),
    };
    Ok(Volume {
        source,
        target: destination(target).map_err(&wrong)?,
        read_only,
    })
}

/// Returns the error of a text of that option, by the mistake in the text.
fn refused(option: &'static str, text: &str) -> impl Fn(&'static str) -> OptionError {
    move |wrong| OptionError::Volume {
        option,
        text: text.to_owned(),
        wrong,
    }
}

/// The options of a file system in memory.
#[derive(Debug, Default)]
struct Tmpfs<'a> {
    size: Option<Bytes>,
    mode: Option<&'a str>,
    is_executable: bool,
}

impl<'a> Tmpfs<'a> {
    fn set_mode(&mut self, text: &'a str) -> Result<(), &'static str> {
        let is_octal = |digit| matches!(digit, b'0'..=b'7');
        if !(1..=4).contains(&text.len()) || !text.bytes().all(is_octal) {
            return Err("write the mode as up to four octal digits");
        }
        self.mode = Some(text);
        Ok(())
    }

    fn source(&self) -> VolumeSource {
        let size = self.size.map(|size| format!("size={},", size.0));
        // The default of Docker.
        let mode = self.mode.unwrap_or("1777");
        VolumeSource::Tmpfs {
            options: format!("{}mode={mode}", size.unwrap_or_default()),
            is_executable: self.is_executable,
        }
    }
}

/// Parses the destination of a volume. The error is the mistake.
fn destination(target: &str) -> Result<PathBuf, &'static str> {
    let target = Path::new(target);
    let plain = target
        .components()
        .skip(1)
        .all(|part| matches!(part, Component::Normal(_)));
    if !target.is_absolute() || !plain || target.components().count() < 2 {
        return Err("write the destination as an absolute path below /");
    }
    if KERNEL_DIRS.iter().any(|own| target.starts_with(own)) {
        return Err("a volume cannot lie in /proc, /sys or /dev of a container");
    }
    Ok(target.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_read_as_docker_reads_it() {
        let source = VolumeSource::Host("/a".into());
        let target = PathBuf::from("/b");
        for (text, source, read_only) in [
            ("/a:/b", source.clone(), false),
            ("/a:/b:rw", source.clone(), false),
            ("/a:/b:ro", source, true),
            ("/b", VolumeSource::Fresh, false),
        ] {
            let target = target.clone();
            assert_eq!(
                volume(text),
                Ok(Volume {
                    source,
                    target,
                    read_only
                })
            );
        }
    }

    #[test]
    fn what_is_no_volume_is_refused() {
        for text in [
            "",
            "b",
            "/a:b",
            "/a:/",
            "/a:/../b",
            "/a:/b:xy",
            "/a:/b:ro:z",
            "data:/b",
            ":/b",
            "/proc/x",
            "/a:/sys",
            "/a:/dev/shm",
        ] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tmpfs_is_read_as_docker_reads_it() {
        for (text, expected, is_executable, read_only) in [
            ("/b", "mode=1777", false, false),
            (
                "/b:size=64m,mode=700,exec",
                "size=67108864,mode=700",
                true,
                false,
            ),
            ("/b:rw,noexec,nosuid,ro", "mode=1777", false, true),
        ] {
            let source = VolumeSource::Tmpfs {
                options: expected.to_owned(),
                is_executable,
            };
            let target = PathBuf::from("/b");
            let volume = Volume {
                source,
                target,
                read_only,
            };
            assert_eq!(tmpfs(text), Ok(volume));
        }
        for text in [
            "b",
            "/",
            "/proc",
            "/b:uid=0",
            "/b:mode=9",
            "/b:size=x",
            "/b:size=1,mode=700,x=,",
        ] {
            assert!(tmpfs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mount_is_read_as_docker_reads_it() {
        let source = VolumeSource::Host("/a".into());
        let memory = VolumeSource::Tmpfs {
            options: "size=1048576,mode=700".to_owned(),
            is_executable: false,
        };
        for (text, source, read_only) in [
            ("type=bind,source=/a,target=/b", source.clone(), false),
            ("type=bind,src=/a,dst=/b,readonly", source.clone(), true),
            ("type=bind,src=/a,dst=/b,ro=false", source, false),
            (
                "type=tmpfs,destination=/b,tmpfs-size=1m,tmpfs-mode=700",
                memory,
                false,
            ),
            ("dst=/b", VolumeSource::Fresh, false),
        ] {
            let target = PathBuf::from("/b");
            let volume = Volume {
                source,
                target,
                read_only,
            };
            assert_eq!(mount(text), Ok(volume), "{text}");
        }
        for text in [
            "",
            "type=bind,dst=/b",
            "type=bind,src=/a",
            "src=data,dst=/b",
            "type=tmpfs,src=/a,dst=/b",
            "type=npipe,dst=/b",
            "type=bind,src=/a,dst=/b,bind-propagation=shared",
            "type=tmpfs,dst=/proc/x",
        ] {
            assert!(mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn two_volumes_of_one_destination_are_refused() {
        let texts = |text: &str| vec![text.to_owned()];
        let (bind, fresh, same) = (texts("/a:/c"), texts("/c/"), texts("type=tmpfs,dst=/c"));
        let error = |options: &VolumeOptions<'_>| volumes(options).unwrap_err().to_string();
        let wrong = "another volume has the same destination";
        let options = VolumeOptions {
            volume: &bind,
            tmpfs: &fresh,
            ..VolumeOptions::default()
        };
        assert_eq!(error(&options), format!("--tmpfs /c/: {wrong}"));
        let options = VolumeOptions {
            mount: &same,
            ..options
        };
        assert_eq!(
            error(&options),
            format!("--mount type=tmpfs,dst=/c: {wrong}")
        );
    }
}
