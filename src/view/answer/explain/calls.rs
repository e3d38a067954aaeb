//! Explanations of the answers of system calls.

use super::{
    explained::{Explained, Input},
    explainer::Explainer,
    reason::{Reason, proc_input},
};
use crate::{
    base::units::Pid,
    facts::container::Container,
    view::answer::{AnswerError, Answers, SystemCall},
};

impl Answers {
    /// Explains each field of the container's answer of the call.
    ///
    /// # Errors
    /// As for [`Answers::render_call`].
    pub fn explain_call(
        &self,
        call: SystemCall,
        container: &Container,
        pid: Option<Pid>,
    ) -> Result<Vec<Explained>, AnswerError> {
        let bytes = self.render_call(call, container, pid)?;
        let explainer = Explainer::new(self, container)?;
        let explained = |(name, value): (String, String)| -> Result<Explained, AnswerError> {
            let reason = match call {
                SystemCall::Sysinfo => explainer.sysinfo(&name)?,
                SystemCall::Affinity => explainer.affinity(self, pid)?,
            };
            Ok(explainer.explained(&name, &value, reason))
        };
        fields(&bytes).into_iter().map(explained).collect()
    }

    /// Explains the kernel's own answer of the call, in `bytes`, to a process of the host.
    #[must_use]
    pub fn explain_host_call(bytes: &[u8]) -> Vec<Explained> {
        let explained = |(name, value)| Explained {
            name,
            value,
            formula: "the kernel's own answer, as for every process of the host".to_owned(),
            decided_by: None,
            inputs: Vec::new(),
        };
        fields(bytes).into_iter().map(explained).collect()
    }
}

/// Returns the name and the value in each line of an answer.
fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

impl Explainer<'_> {
    fn sysinfo(&self, field: &str) -> Result<Reason, AnswerError> {
        let line = match field {
            "totalram" => "MemTotal",
            "freeram" => "MemFree",
            "sharedram" => "Shmem",
            "bufferram" => "Buffers",
            "totalswap" => "SwapTotal",
            "freeswap" => "SwapFree",
            "uptime" => {
                return Ok(Reason {
                    formula: "the first number of /proc/uptime in the container, rounded up to seconds",
                    ..self.uptime()?
                });
            }
            "loads" => return Ok(self.tasks("the averages of /proc/loadavg in the container")),
            _ => {
                return Ok(self.tasks("all tasks of /proc/loadavg in the container, at most 65535"));
            }
        };
        Ok(self.meminfo(line))
    }

    fn affinity(&self, answers: &Answers, pid: Option<Pid>) -> Result<Reason, AnswerError> {
        let reason = Reason::new(
            "the CPUs of cpu/online in the container that the kernel lets the process use; all that it lets the process use, if none of them is in cpu/online",
        );
        let allowed = pid.map(|pid| -> Result<Input, AnswerError> {
            let cpus = answers.allowed_cpus(pid)?;
            Ok(proc_input(
                &format!("{pid}/status"),
                "Cpus_allowed_list",
                cpus,
            ))
        });
        Ok(reason.with(allowed.transpose()?).with(self.seen_cpus()?))
    }
}
