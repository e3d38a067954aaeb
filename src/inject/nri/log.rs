//! The log lines about containers.

use super::job::{ListReport, StartingContainer};
use crate::inject::deliver::Delivery;

/// Logs the result of a start.
pub(super) fn log_start(starting: &StartingContainer, delivery: &Delivery) {
    let container = &starting.shown;
    let ms = starting.begun.elapsed().as_millis();
    match delivery {
        Delivery::Mounted { refused, .. } => match refused.first() {
            None => tracing::debug!(container, ms, "attached"),
            Some(error) => {
                tracing::warn!(container, error, "not all files are the container's own")
            }
        },
        Delivery::Unlimited => tracing::debug!(container, ms, "without limits"),
        Delivery::LeftOut(reason) => tracing::debug!(container, ms, reason, "left out"),
        Delivery::NotServed(error) | Delivery::Late(error) | Delivery::Failed(error) => {
            tracing::warn!(container, error, "started with the host's files");
        }
    }
}

/// Logs the result of a list; `None` is work that was given up.
pub(super) fn log_list(report: Option<ListReport>) {
    let Some(report) = report else {
        tracing::warn!("not every container that ran before could be attached");
        return;
    };
    for problem in &report.problems {
        tracing::warn!(
            problem,
            "a container that ran before has not all of its files"
        );
    }
    let (attached, unchanged) = (report.attached, report.unchanged);
    tracing::info!(
        attached,
        unchanged,
        "examined the containers that ran before"
    );
}
