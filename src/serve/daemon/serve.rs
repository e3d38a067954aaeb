//! The start of the process: alone, under systemd, or with a keeper that forks the daemon.

use super::{
    containers,
    instance::Instance,
    live::live,
    mountpoint,
    predecessor::Predecessor,
    right,
    settings::{Mode, ServeSettings},
    supervisor::Supervisor,
};
use crate::{
    base::{sys::fd, units::Pid},
    serve::{
        handover::Descriptors,
        keeper::{self, Adopted, Purpose, Start},
    },
};
use anyhow::{Context, Result, bail};
use nix::{
    sys::{prctl, signal::Signal},
    unistd,
};
use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

/// The exit status of a daemon that could not serve.
const FAILED: i32 = 125;
/// The minimum time between the start of a daemon that fails under systemd and its end. systemd
/// starts the next daemon at once, which may fail in the same way.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// Serves until a signal ends the daemon or a successor replaces it, and returns the exit status.
/// Takes over what a dead daemon left mounted. `complain` shows the user the error of a daemon that
/// a keeper started.
///
/// # Errors
/// When another daemon serves there, another file system is mounted there, or the kernel refuses.
pub fn serve(mut settings: ServeSettings, complain: impl Fn(&anyhow::Error)) -> Result<i32> {
    if settings.mode == Mode::Embedded && !ends_with_its_parent()? {
        return Ok(0);
    }
    settings.mountpoint = mountpoint::resolve(&settings.mountpoint)?;
    if settings.mode == Mode::CheckReplace {
        let acting = || {
            format!(
                "cannot replace the daemon on {}",
                settings.mountpoint.display()
            )
        };
        return check_replace(&settings).with_context(acting).map(|()| 0);
    }
    if Supervisor::is_systemd_present() {
        return serve_under_systemd(&settings).map(|()| 0);
    }
    let adopted = match settings.mode {
        Mode::Serve { has_keeper: false } | Mode::Replace { has_keeper: false } => {
            return live(&settings, Descriptors::default(), Supervisor::None).map(|()| 0);
        }
        Mode::Adopt(pid) => Some(adopted(pid)?),
        _ => None,
    };
    let status = keeper::keep(settings.watchdog, adopted, |start| match live_under_keeper(
        &settings, start,
    ) {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            FAILED
        }
    });
    status.context("cannot keep a daemon alive")
}

/// Returns an error if this program could not take the place of the daemon that serves.
fn check_replace(settings: &ServeSettings) -> Result<()> {
    let (_predecessor, mut descriptors) = Predecessor::connect(&settings.mountpoint)?;
    let mut instance = Instance::resume(settings, &mut descriptors)?;
    let agreed = instance.sessions().map(drop);
    instance.leave();
    agreed
}

fn serve_under_systemd(settings: &ServeSettings) -> Result<()> {
    if let Mode::Replace { .. } = settings.mode {
        bail!("--replace is for daemons with a keeper: under systemd, systemctl restart");
    }
    let descriptors = Supervisor::stored_by_systemd()?;
    let end = Instant::now() + MIN_LIFETIME;
    let result = live(settings, descriptors, Supervisor::Systemd);
    if result.is_err() {
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }
    result
}

/// Runs a daemon that its keeper has forked.
fn live_under_keeper(settings: &ServeSettings, mut start: Start) -> Result<()> {
    if settings.mode == Mode::Embedded && !ends_with_its_parent()? {
        return Ok(());
    }
    let supervisor = Supervisor::keeper(start.keeper);
    if start.purpose == Purpose::Serve {
        return live(settings, start.descriptors, supervisor);
    }
    // A successor may have taken over from the daemon that did not end.
    right::claim(&mut start.descriptors, &supervisor, None)?;
    if let Ok(mut instance) = Instance::resume(settings, &mut start.descriptors) {
        // Containers first: their readers would wait for an answer for ever.
        containers::remove_view(&instance.points())?;
        instance.own();
        instance.unmount();
    }
    Ok(())
}

/// Returns the daemon with that pid, and the channel to it that is standard input.
fn adopted(pid: Pid) -> Result<Adopted> {
    let stdin = std::io::stdin();
    let channel: OwnedFd = stdin.as_fd().try_clone_to_owned()?;
    let null = File::open("/dev/null")?;
    fd::dup_onto(stdin.as_fd(), null.as_fd())?;
    Ok(Adopted {
        pid: unistd::Pid::from_raw(i32::try_from(pid.0)?),
        channel: channel.into(),
    })
}

/// Requests SIGTERM for the moment when the parent process ends. Returns false if the parent ended
/// before.
fn ends_with_its_parent() -> Result<bool> {
    let parent = unistd::getppid();
    prctl::set_pdeathsig(Signal::SIGTERM)
        .context("cannot request a signal at the end of the parent process")?;
    // The parent may have ended before the request.
    Ok(unistd::getppid() == parent && parent != unistd::Pid::from_raw(1))
}
