// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot budget: how many boots of each tier a whole test run may take.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a boot goes, and so what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Kernel, dracut initramfs, systemd up to multi-user.
    FullBoot,
    /// Kernel and dracut initramfs; ends before the switch to the real root.
    DracutInitramfs,
    /// Kernel and a busybox initramfs; no systemd.
    Busybox,
}

static FULL_BOOTS: AtomicUsize = AtomicUsize::new(0);
static DRACUT_BOOTS: AtomicUsize = AtomicUsize::new(0);
static BUSYBOX_BOOTS: AtomicUsize = AtomicUsize::new(0);

impl Tier {
    const ALL: [Self; 3] = [Self::FullBoot, Self::DracutInitramfs, Self::Busybox];

    fn counter(self) -> &'static AtomicUsize {
        match self {
            Self::FullBoot => &FULL_BOOTS,
            Self::DracutInitramfs => &DRACUT_BOOTS,
            Self::Busybox => &BUSYBOX_BOOTS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::FullBoot => "full boot",
            Self::DracutInitramfs => "dracut initramfs",
            Self::Busybox => "busybox",
        }
    }

    /// Boots of this tier that the default test run may take, so that it stays under a quarter of an hour.
    fn limit(self) -> usize {
        match self {
            Self::FullBoot => 18,
            Self::DracutInitramfs => 30,
            Self::Busybox => 40,
        }
    }

    /// Notes one boot.
    pub(crate) fn count(self) {
        self.counter().fetch_add(1, Ordering::Relaxed);
    }
}

/// One line that says what was used of the budget.
pub(crate) fn summary() -> String {
    let used = Tier::ALL.map(|tier| {
        format!("{} {} of {}", tier.name(), tier.counter().load(Ordering::Relaxed), tier.limit())
    });
    format!("boot budget: {}", used.join(", "))
}

/// Whether a tier used more boots than it may.
pub(crate) fn exceeded() -> bool {
    Tier::ALL.iter().any(|tier| tier.counter().load(Ordering::Relaxed) > tier.limit())
}
