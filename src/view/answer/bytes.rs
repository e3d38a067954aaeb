//! Bytes of a file below `/proc`: its view, rendered as the kernel would have written it.

use super::{answers::Answers, error::AnswerError, layout, padded_sizes::read_host_text};
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
            File::Stat => render::stat::stat(&self.stat(container)?, &mut out),
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

    /// Returns the bytes of [`Answers::render`], filled up with spaces at the ends of lines to
    /// [`Answers::padded_size`] if the file is [cacheable](Answers::is_cacheable).
    ///
    /// # Errors
    /// As for [`Answers::render`].
    pub fn render_padded(&self, file: File, container: &Container) -> Result<Vec<u8>, AnswerError> {
        let bytes = self.render(file, container)?;
        Ok(match self.padded_sizes.grow(file, bytes.len()) {
            Some(size) => layout::pad(file, &bytes, size),
            None => bytes,
        })
    }

    /// Returns whether the kernel may cache the file: its size and the places of its lines never
    /// change.
    #[must_use]
    pub fn is_cacheable(&self, file: File) -> bool {
        self.padded_sizes.has(file)
    }

    /// Returns the constant size of a [cacheable](Answers::is_cacheable) file in bytes; `None` for
    /// other files, and before the first answer if the size cannot be computed.
    #[must_use]
    pub fn padded_size(&self, file: File) -> Option<usize> {
        self.padded_sizes.get(file)
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
