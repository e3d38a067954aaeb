//! Commands for the administrator of a machine on which Plimsoll runs.

/// Examines the machine, and gives a fix for each fault.
pub mod doctor;

/// Lists the containers of every engine, with their limits, their use and their view.
///
/// Uses [`doctor`].
pub mod ps;

/// The state of the daemon.
///
/// Uses [`doctor`], [`ps`].
pub mod status;

/// The guided minute: the view of a container, shown in real containers.
pub mod demo;
