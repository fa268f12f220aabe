//! How the window asks for its GPU, and what happens when the GPU fails.

use egui_wgpu::{WgpuConfiguration, WgpuSetup};
use std::sync::Arc;

/// eframe's defaults with the adapter's own limit on texture sizes (16384 and more on most) instead of 8192.
pub fn wgpu_options() -> WgpuConfiguration {
    let mut options = WgpuConfiguration::default();
    raise_texture_limit(&mut options.wgpu_setup);
    options
}

/// Asks for the largest textures that the adapter has.
pub fn raise_texture_limit(setup: &mut WgpuSetup) {
    if let WgpuSetup::CreateNew(create) = setup {
        let inner = Arc::clone(&create.device_descriptor);
        create.device_descriptor = Arc::new(move |adapter| {
            let mut device = inner(adapter);
            device.required_limits.max_texture_dimension_2d = adapter.limits().max_texture_dimension_2d;
            device
        });
    }
}

/// Something that went wrong on the GPU outside any call that could return it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuProblem {
    /// The GPU's memory is full; the frame may be incomplete.
    OutOfMemory(String),
    /// A call was refused: a fault of ours, worth a report. The frame may be incomplete.
    Refused(String),
    /// The device is gone (driver reset, GPU removed): nothing will be drawn until the window is opened anew.
    Lost(String),
}

impl std::fmt::Display for GpuProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfMemory(text) => {
                write!(f, "The GPU's memory is full; close other windows or open a smaller picture ({text})")
            }
            Self::Refused(text) => write!(f, "The GPU refused a drawing call; please report this ({text})"),
            Self::Lost(text) => write!(f, "The GPU was lost; your work is saved, restart the window ({text})"),
        }
    }
}

/// Sends the device's errors to `report` instead of ending the process. `report` may be called on any thread.
pub fn watch_device(device: &wgpu::Device, report: impl Fn(GpuProblem) + Send + Sync + 'static) {
    let report = Arc::new(report);
    let on_error = Arc::clone(&report);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        on_error(match &error {
            wgpu::Error::OutOfMemory { .. } => GpuProblem::OutOfMemory(error.to_string()),
            _ => GpuProblem::Refused(error.to_string()),
        });
    }));
    device.set_device_lost_callback(move |reason, message| {
        // Told also when we drop the device ourselves at the end.
        if reason != wgpu::DeviceLostReason::Destroyed {
            report(GpuProblem::Lost(message));
        }
    });
}
