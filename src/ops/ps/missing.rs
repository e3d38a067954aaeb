//! Pure. The reason for which a container has no view.

use crate::{base::output::shell_word, facts::engines::Engine};

/// The containers of an engine that get the hook when they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HookReach {
    /// Every container.
    All,
    /// A container that asks for the view.
    OnRequest,
    /// No container: the engine is not set up.
    None,
}

/// The facts about a container without a view.
#[derive(Debug, Clone)]
pub(super) struct Viewless<'a> {
    /// The engine.
    pub(super) engine: Engine,
    /// The name for people.
    pub(super) shown: &'a str,
    /// The rule that leaves the container out.
    pub(super) left_out: Option<String>,
    /// A daemon serves the configured mount point.
    pub(super) is_served: bool,
    /// The container had its files by `attach`.
    pub(super) was_attached: bool,
    /// The limits leave the container less than the whole machine; `None` where that is not known.
    pub(super) is_limited: Option<bool>,
    /// The configuration gives the view also to containers without limits.
    pub(super) takes_unlimited: bool,
    /// The reach of the hook; `None` for an engine that has no hooks.
    pub(super) hook: Option<HookReach>,
}

/// Returns the reason, and the command that gives the container its view; no command where the
/// container is left out on purpose. The reason comes first that would still hold without the others.
pub(super) fn reason(container: &Viewless<'_>) -> (String, Option<String>) {
    let engine = container.engine;
    let attach = attach(container.shown);
    if let Some(rule) = &container.left_out {
        return (format!("left out by {rule}"), None);
    }
    if !container.is_served {
        let fix = "plimsoll status names the problem".to_owned();
        return ("no daemon serves".to_owned(), Some(fix));
    }
    let text = match (container.hook, container.is_limited) {
        _ if container.was_attached => "was started again without the hook".to_owned(),
        (_, Some(false)) if !container.takes_unlimited => {
            return ("has no limit of memory or CPUs".to_owned(), None);
        }
        (None, _) if engine == Engine::Plimsoll => {
            "was started without the view, or detached".to_owned()
        }
        (None, _) if engine == Engine::Other => "the engine is not known".to_owned(),
        (None, _) => format!("{engine} has no hook"),
        (Some(HookReach::None), _) => {
            let fix = format!("plimsoll install {engine}, and now {attach}");
            return (format!("{engine} is not set up"), Some(fix));
        }
        (Some(HookReach::OnRequest), _) => "did not ask for the view".to_owned(),
        (Some(HookReach::All), _) => "was started without the hook".to_owned(),
    };
    (text, Some(attach))
}

/// Returns the command that attaches a container. A name can be any text.
fn attach(shown: &str) -> String {
    let end_of_options = if shown.starts_with('-') { "-- " } else { "" };
    format!("plimsoll attach {end_of_options}{}", shell_word(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(hook: Option<HookReach>) -> Viewless<'static> {
        Viewless {
            engine: Engine::Docker,
            shown: "web",
            left_out: None,
            is_served: true,
            was_attached: false,
            is_limited: Some(true),
            takes_unlimited: false,
            hook,
        }
    }

    #[test]
    fn a_container_without_a_view_has_the_first_reason_that_holds_and_its_fix() {
        let [all, on_request, none] =
            [HookReach::All, HookReach::OnRequest, HookReach::None].map(Some);
        let left_out = Viewless {
            left_out: Some("the label plimsoll.io/view=false".to_owned()),
            is_served: false,
            ..facts(none)
        };
        let unserved = Viewless {
            is_served: false,
            is_limited: Some(false),
            ..facts(none)
        };
        let unlimited = Viewless {
            is_limited: Some(false),
            ..facts(none)
        };
        let lost = Viewless {
            was_attached: true,
            ..facts(none)
        };
        let attach = Some("plimsoll attach web");
        for (facts, text, fix) in [
            (
                left_out,
                "left out by the label plimsoll.io/view=false",
                None,
            ),
            (
                unserved,
                "no daemon serves",
                Some("plimsoll status names the problem"),
            ),
            (unlimited, "has no limit of memory or CPUs", None),
            (lost, "was started again without the hook", attach),
            (
                facts(none),
                "docker is not set up",
                Some("plimsoll install docker, and now plimsoll attach web"),
            ),
            (facts(on_request), "did not ask for the view", attach),
            (facts(all), "was started without the hook", attach),
            (facts(None), "docker has no hook", attach),
        ] {
            let found = reason(&facts);
            assert_eq!((found.0.as_str(), found.1.as_deref()), (text, fix));
        }
    }

    #[test]
    fn a_name_in_a_fix_is_one_word_of_the_shell_and_no_option() {
        let facts = Viewless {
            shown: "--all; reboot",
            ..facts(None)
        };
        let (_, fix) = reason(&facts);
        assert_eq!(fix.unwrap(), "plimsoll attach -- '--all; reboot'");
    }
}
