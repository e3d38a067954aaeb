//! The plugin: one thread that waits for the runtime, for the work in containers, and for signals.
//!
//! A container starts when its files are there, or 500 ms after the runtime has told of it, whichever
//! is first; the work then goes on. A runtime that closes the connection is reached again, and lists
//! the containers that have started meanwhile.

use super::{
    backoff::RetryPause,
    conversation::Heard,
    error::NriError,
    job::{ContainerInPod, ContainerJob, StartingContainer},
    link::{LinkError, RuntimeLink},
    lock::PluginLock,
    log::{log_list, log_start},
};
use crate::{
    base::{
        config::LeaveOut,
        respawn::END_SIGNALS,
        sys::{ReadError, chain, fd},
    },
    inject::{
        attach::{AttachOptions, Attacher},
        deliver::Delivery,
    },
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::SigSet,
        signalfd::{SfdFlags, SignalFd},
    },
};
use sd_notify::NotifyState;
use std::{
    os::fd::AsFd,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The longest delay of a container's start. A runtime drops a plugin that has not answered within 2 s.
const START_TIMEOUT: Duration = Duration::from_millis(500);

/// The maximum number of jobs at once.
const MAX_JOBS: usize = 64;

/// The age from which on a connection counts as stable: the pauses before the next one begin anew.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// The settings of a plugin.
#[derive(Debug, Clone)]
pub struct PluginSettings {
    /// The socket of the runtime.
    pub socket: PathBuf,
    /// The settings of each attach.
    pub options: AttachOptions,
    /// The containers that get no view.
    pub leave_out: LeaveOut,
}

impl PluginSettings {
    fn attacher(&self) -> Result<Attacher, ReadError> {
        Attacher::new(self.options.clone(), self.leave_out.clone())
    }
}

/// Runs the plugin until a signal ends it. The caller must have one thread only.
///
/// # Errors
/// When another plugin serves that socket, or the kernel refuses what every plugin needs. A runtime that
/// is not there is no error: the plugin waits for it.
pub fn serve(settings: &PluginSettings) -> Result<(), NriError> {
    let lock = PluginLock::acquire(&settings.socket)?;
    let kernel = |error: Errno| NriError::Kernel(error.into());
    let ends = SigSet::from_iter(END_SIGNALS);
    ends.thread_block().map_err(kernel)?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let mut plugin = Plugin {
        settings,
        lock,
        signals: SignalFd::with_flags(&ends, flags).map_err(kernel)?,
        connected: None,
        jobs: Vec::new(),
        pause: RetryPause::default(),
        retry_at: Instant::now(),
        last_error: String::new(),
        was_late: false,
    };
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    plugin.run().map_err(kernel)
}

struct Plugin<'a> {
    settings: &'a PluginSettings,
    lock: PluginLock,
    signals: SignalFd,
    connected: Option<(RuntimeLink, Attacher)>,
    jobs: Vec<ContainerJob>,
    pause: RetryPause,
    retry_at: Instant,
    last_error: String,
    /// The last answer to a list of containers may have been late.
    was_late: bool,
}

/// The descriptors for which a wait has ended.
struct Awake {
    is_signalled: bool,
    has_runtime: bool,
    /// The jobs with a result, by their indices.
    jobs: Vec<usize>,
}

impl Plugin<'_> {
    fn run(&mut self) -> nix::Result<()> {
        loop {
            if self.connected.is_none() && Instant::now() >= self.retry_at {
                self.connect();
            }
            let awake = self.wait()?;
            // From the last one on: the indices before it stay as they are.
            for index in awake.jobs.into_iter().rev() {
                self.finish(index, Instant::now());
            }
            if awake.is_signalled {
                self.end();
                return Ok(());
            }
            if awake.has_runtime {
                self.converse();
            }
            self.meet_deadlines();
        }
    }

    /// Waits for a signal, the runtime, a job, or a time at which there is something to do.
    fn wait(&self) -> nix::Result<Awake> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let jobs = self.jobs.iter();
        fds.extend(jobs.map(|job| PollFd::new(job.as_fd(), PollFlags::POLLIN)));
        if let Some((link, _)) = &self.connected {
            let events = match link.has_output() {
                true => PollFlags::POLLOUT,
                false => PollFlags::POLLIN,
            };
            fds.push(PollFd::new(link.as_fd(), events));
        }
        match poll(&mut fds, self.timeout()) {
            Err(Errno::EINTR) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        let is_ready = |index: usize| {
            let fd = fds.get(index);
            fd.and_then(PollFd::any).unwrap_or_default()
        };
        let count = self.jobs.len();
        Ok(Awake {
            is_signalled: is_ready(0),
            jobs: (0..count).filter(|index| is_ready(index + 1)).collect(),
            has_runtime: is_ready(count + 1),
        })
    }

    /// Returns the time up to the next thing to do; none if there is nothing to do.
    fn timeout(&self) -> PollTimeout {
        let jobs = self.jobs.iter().map(|job| match &job.start {
            Some(start) if start.stream.is_some() => start.begun + START_TIMEOUT,
            _ => job.deadline,
        });
        let retry = self.connected.is_none().then_some(self.retry_at);
        let Some(next) = jobs.chain(retry).min() else {
            return PollTimeout::NONE;
        };
        fd::poll_timeout(next.saturating_duration_since(Instant::now()))
    }

    fn connect(&mut self) {
        let connected = RuntimeLink::connect(&self.settings.socket)
            .and_then(|link| Ok((link, self.settings.attacher()?)));
        match connected {
            Ok(connected) => self.connected = Some(connected),
            Err(error) => self.disconnect(&error),
        }
    }

    /// Gives the connection up until the next attempt.
    fn disconnect(&mut self, error: &LinkError) {
        if let Some((link, _)) = self.connected.take()
            && link.age() >= STABLE_AFTER
        {
            self.pause.reset();
        }
        // The runtime has forgotten its calls, or will never read the answers.
        for start in self.jobs.iter_mut().filter_map(|job| job.start.as_mut()) {
            start.stream = None;
        }
        self.retry_at = Instant::now() + self.pause.next();
        let error = chain(error);
        // A runtime that is not there is no news at each attempt.
        if error != self.last_error {
            let socket = self.settings.socket.display();
            tracing::warn!(%socket, error, "not registered, will try again");
            self.lock.tell_unregistered(&error);
            let _ = sd_notify::notify(&[NotifyState::Status(&format!("not registered: {error}"))]);
            self.last_error = error;
        }
    }

    fn converse(&mut self) {
        let Some((link, _)) = &mut self.connected else {
            return;
        };
        match link.read() {
            Ok(heard) => heard.into_iter().for_each(|heard| self.hear(heard)),
            Err(error) => self.disconnect(&error),
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Registered | Heard::Configured(_) => self.announce(),
            // The connection is closed by now.
            Heard::Refused(_) => {}
            Heard::Listed(listed) => self.list(&listed),
            Heard::Starts { stream, container } => self.start(stream, &container),
            Heard::Garbled { method, error } => {
                tracing::warn!(method, %error, "a call of the runtime could not be read");
            }
        }
    }

    fn announce(&mut self) {
        if let Some((link, _)) = &mut self.connected
            && link.is_newly_registered()
        {
            let runtime = link.runtime();
            tracing::info!(runtime, "registered");
            self.lock.tell_registered(&runtime);
            let _ =
                sd_notify::notify(&[NotifyState::Status(&format!("registered with {runtime}"))]);
            self.last_error.clear();
        }
    }

    /// Attaches the containers that run, unless the runtime has to list them once more.
    fn list(&mut self, listed: &[ContainerInPod]) {
        let Some((link, _)) = &self.connected else {
            return;
        };
        // A machine on which every list takes so long is not asked for ever.
        self.was_late = link.may_be_late() && !self.was_late;
        if self.was_late {
            return self.disconnect(&LinkError::Late);
        }
        let held = [link.as_fd(), self.lock.as_fd()];
        let make = || self.settings.attacher();
        let started = ContainerJob::list(make, &self.settings.options.view, listed, &held);
        let jobs = self.jobs.drain(..);
        let (lists, starts): (Vec<_>, Vec<_>) = jobs.partition(|job| job.start.is_none());
        self.jobs = starts;
        for before in lists {
            before.report(Instant::now());
        }
        match started {
            Ok(job) => self.jobs.push(job),
            Err(error) => {
                let error = error.desc();
                tracing::warn!(
                    error,
                    "the containers that run keep the files that they have"
                );
            }
        }
    }

    fn start(&mut self, stream: u32, listed: &ContainerInPod) {
        let Some((link, attacher)) = &self.connected else {
            return;
        };
        let starting = StartingContainer::new(stream, listed);
        let held = [link.as_fd(), self.lock.as_fd()];
        let started = match self.jobs.len() < MAX_JOBS {
            true => ContainerJob::start(attacher, starting, listed, &held),
            false => Err((starting, Errno::EAGAIN)),
        };
        match started {
            Ok(job) => self.jobs.push(job),
            Err((starting, error)) => {
                let late = Delivery::Late(error.desc().to_owned());
                self.started(starting, &late);
            }
        }
    }

    /// Takes the result of a job, which is given up if it has none by `deadline`.
    fn finish(&mut self, index: usize, deadline: Instant) {
        if index >= self.jobs.len() {
            return;
        }
        let mut job = self.jobs.swap_remove(index);
        match job.start.take() {
            Some(starting) => {
                let delivery = job.delivery(deadline);
                self.started(starting, &delivery);
            }
            None => log_list(job.report(deadline)),
        }
    }

    /// Answers the call of a container that starts, if that has not been done, and tells of its result.
    fn started(&mut self, starting: StartingContainer, delivery: &Delivery) {
        if let Some(stream) = starting.stream {
            self.answer(stream);
        }
        starting.leave_note(&self.settings.options.view, delivery);
        log_start(&starting, delivery);
    }

    fn answer(&mut self, stream: u32) {
        if let Some((link, _)) = &mut self.connected
            && let Err(error) = link.answer_start(stream)
        {
            self.disconnect(&error);
        }
    }

    /// Lets the containers start whose files are late, and gives up jobs that take too long.
    fn meet_deadlines(&mut self) {
        let now = Instant::now();
        let starts = self.jobs.iter_mut().filter_map(|job| job.start.as_mut());
        let due = starts.filter(|start| now >= start.begun + START_TIMEOUT);
        let due: Vec<u32> = due.filter_map(|start| start.stream.take()).collect();
        for stream in due {
            self.answer(stream);
        }
        for index in (0..self.jobs.len()).rev() {
            let is_over = self.jobs.get(index).is_some_and(|job| now >= job.deadline);
            if is_over {
                self.finish(index, now);
            }
        }
    }

    /// Lets every container start, and gives the jobs the time of a start to end.
    fn end(&mut self) {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        let starts = self.jobs.iter_mut().filter_map(|job| job.start.as_mut());
        let streams: Vec<u32> = starts.filter_map(|start| start.stream.take()).collect();
        for stream in streams {
            self.answer(stream);
        }
        self.connected = None;
        let deadline = Instant::now() + START_TIMEOUT;
        for index in (0..self.jobs.len()).rev() {
            self.finish(index, deadline);
        }
    }
}
