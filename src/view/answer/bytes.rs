//! Bytes of a file below `/proc`: its view, rendered as the kernel would have written it.

use super::{answers::Answers, cacheable::read_host_text, error::AnswerError, layout};
use crate::{
    base::{metrics, units::CpuSet},
    facts::container::Container,
    view::{
        files::{CPUS, File},
        render,
    },
};
use std::path::Path;

impl Answers {
    /// Returns the bytes that the container reads from the file now.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known. [`AnswerError::Unseen`] for a
    /// pressure file of a container for which the kernel counts no pressure.
    pub fn render(&self, file: File, container: &Container) -> Result<Vec<u8>, AnswerError> {
        if self.containers.has_doubled() {
            self.forget_dead();
        }
        let mut out = Vec::with_capacity(4096);
        match file {
            File::Meminfo => render::memory::meminfo(&self.meminfo(container)?, &mut out),
            File::Swaps => render::memory::swaps(&self.swaps(container)?, &mut out),
            File::Vmstat => render::vmstat::vmstat(&self.vmstat(container)?, &mut out),
            File::Cpuinfo => render::cpu::cpuinfo(&self.cpuinfo(container)?, &mut out),
            File::CpuOnline => render::cpu::list(&self.cpus(container)?, &mut out),
            File::Stat => self.render_stat(container, &mut out)?,
            File::Uptime => render::time::uptime(&self.uptime(container)?, &mut out),
            File::Loadavg => render::load::loadavg(&self.loadavg(container)?, &mut out),
            File::Diskstats => render::disk::diskstats(&self.diskstats(container)?, &mut out),
            File::Slabinfo => {
                render::vmstat::slabinfo(&self.machine.slabinfo_header()?, &mut out);
            }
            File::PressureCpu | File::PressureMemory | File::PressureIo | File::PressureIrq => {
                out = self.read_pressure(file, container)?;
            }
        }
        metrics::ANSWERS.count();
        Ok(out)
    }

    /// Writes `/proc/stat` in the constant size that the file has on this machine.
    fn render_stat(&self, container: &Container, out: &mut Vec<u8>) -> Result<(), AnswerError> {
        let view = self.stat(container)?;
        render::stat::stat_of_size(&view, self.cacheable.stat_size(), out);
        self.cacheable.grow_stat(out.len());
        Ok(())
    }

    /// Returns whether the kernel may cache the file: its size never changes, or hardly ever.
    #[must_use]
    pub fn is_cacheable(&self, file: File) -> bool {
        self.cacheable.has(file)
    }

    /// Returns the bytes of the host's own file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_host(&self, file: File) -> Result<Vec<u8>, AnswerError> {
        Ok(self.machine.bytes(Path::new(file.path()))?)
    }

    /// Returns a size that no content of the file exceeds, in bytes: twice the size of the host's
    /// own file with all possible CPUs online, in whole pages.
    ///
    /// coreutils take the size of a file for an estimate if `st_blksize` is not smaller.
    #[must_use]
    pub fn max_size(&self, file: File) -> u64 {
        let cpus = |list: &str| {
            let bytes = self.machine.bytes(Path::new(&format!("{CPUS}/{list}")));
            let cpus = CpuSet::parse(&String::from_utf8_lossy(&bytes.unwrap_or_default()));
            cpus.map_or(1, |cpus| cpus.len().max(1))
        };
        let length = read_host_text(&self.machine, file)
            .unwrap_or_default()
            .len();
        let size = 2 * length * cpus("possible").div_ceil(cpus("online"));
        layout::whole_pages(size)
    }
}
