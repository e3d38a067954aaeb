//! Prints the numbers of the machine that the crates systemstat and sysinfo read, a name and a value in each line.
//! The tests of observers run the program in a container.

use std::error::Error;
use systemstat::{Platform, System};

fn main() -> Result<(), Box<dyn Error>> {
    let system = System::new();
    println!("systemstat.boot {}", system.boot_time()?.unix_timestamp());
    println!("systemstat.uptime {}", system.uptime()?.as_secs());
    println!("systemstat.load {}", system.load_average()?.one);
    println!("systemstat.memory {}", system.memory()?.total.as_u64());
    println!("systemstat.swap {}", system.swap()?.total.as_u64());
    println!("systemstat.cpus {}", system.cpu_load()?.done()?.len());
    let load = system.cpu_load_aggregate()?.done()?;
    println!("systemstat.idle {}", load.idle);
    println!(
        "systemstat.disks {}",
        system.block_device_statistics()?.len()
    );

    let mut system = sysinfo::System::new_all();
    system.refresh_all();
    println!("sysinfo.boot {}", sysinfo::System::boot_time());
    println!("sysinfo.uptime {}", sysinfo::System::uptime());
    println!("sysinfo.load {}", sysinfo::System::load_average().one);
    println!("sysinfo.memory {}", system.total_memory());
    println!("sysinfo.swap {}", system.total_swap());
    println!("sysinfo.cpus {}", system.cpus().len());
    Ok(())
}
