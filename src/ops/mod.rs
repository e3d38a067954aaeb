//! Commands for the administrator of a machine on which Plimsoll runs.

/// Examines the machine, and gives a fix for each fault.
pub mod doctor;

/// The guided minute: the view of a container, shown in real containers.
pub mod demo;
