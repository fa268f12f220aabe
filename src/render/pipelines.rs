//! The three passes as pipelines, and the joining of their sources.
//!
//! Invariant: no pass samples one texture with two samplers (the GL backend panics on that); flat squares and logits
//! are read by `textureLoad` instead. No storage buffers, so that GL's smallest device is enough.

use std::sync::LazyLock;

/// `shaders/picture.wgsl` with its common head.
pub static PICTURE_WGSL: LazyLock<String> = LazyLock::new(|| joined(include_str!("../../shaders/picture.wgsl")));
/// `shaders/mask_overlay.wgsl` with its common head.
pub static MASK_OVERLAY_WGSL: LazyLock<String> =
    LazyLock::new(|| joined(include_str!("../../shaders/mask_overlay.wgsl")));
/// `shaders/instances.wgsl` with its common head.
pub static INSTANCES_WGSL: LazyLock<String> = LazyLock::new(|| joined(include_str!("../../shaders/instances.wgsl")));

fn joined(pass: &str) -> String {
    format!("{}\n{pass}", include_str!("../../shaders/common.wgsl"))
}

/// One pass and the layout of what it reads besides the view.
pub(super) struct Pass {
    pub pipeline: wgpu::RenderPipeline,
    pub inputs: wgpu::BindGroupLayout,
}

/// Everything that is made once a device.
pub(super) struct Pipelines {
    pub view: wgpu::BindGroupLayout,
    pub picture: Pass,
    pub instances: Pass,
    pub mask_overlay: Pass,
    pub sampler: wgpu::Sampler,
}

impl Pipelines {
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let view = layout(device, "canvas view", &[(wgpu::ShaderStages::VERTEX_FRAGMENT, uniform())]);
        let fragment = wgpu::ShaderStages::FRAGMENT;
        let float = |filterable| texture(wgpu::TextureSampleType::Float { filterable });
        let ids = || texture(wgpu::TextureSampleType::Uint);
        let filtering = wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering);
        let picture = layout(device, "canvas picture", &[(fragment, float(true)), (fragment, filtering)]);
        let instances = layout(device, "canvas instances", &[(fragment, ids()), (fragment, ids())]);
        let mask = layout(
            device,
            "canvas mask",
            &[(fragment, float(false)), (wgpu::ShaderStages::VERTEX_FRAGMENT, uniform())],
        );
        Self {
            picture: pass(device, target, "canvas picture", &PICTURE_WGSL, &view, picture),
            instances: pass(device, target, "canvas instances", &INSTANCES_WGSL, &view, instances),
            mask_overlay: pass(device, target, "canvas mask", &MASK_OVERLAY_WGSL, &view, mask),
            sampler: device.create_sampler(&wgpu::SamplerDescriptor {
                label: Some("canvas picture"),
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                mipmap_filter: wgpu::MipmapFilterMode::Linear,
                ..Default::default()
            }),
            view,
        }
    }
}

fn uniform() -> wgpu::BindingType {
    wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Uniform,
        has_dynamic_offset: false,
        min_binding_size: None,
    }
}

fn texture(sample_type: wgpu::TextureSampleType) -> wgpu::BindingType {
    wgpu::BindingType::Texture { sample_type, view_dimension: wgpu::TextureViewDimension::D2, multisampled: false }
}

fn layout(
    device: &wgpu::Device,
    label: &str,
    entries: &[(wgpu::ShaderStages, wgpu::BindingType)],
) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0u32..)
        .zip(entries)
        .map(|(binding, &(visibility, ty))| wgpu::BindGroupLayoutEntry { binding, visibility, ty, count: None })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries })
}

fn pass(
    device: &wgpu::Device,
    target: wgpu::TextureFormat,
    label: &str,
    source: &str,
    view: &wgpu::BindGroupLayout,
    inputs: wgpu::BindGroupLayout,
) -> Pass {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(label),
        bind_group_layouts: &[Some(view), Some(&inputs)],
        immediate_size: 0,
    });
    let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(label),
        layout: Some(&pipeline_layout),
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("vertex_main"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::TriangleStrip, ..Default::default() },
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("fragment_main"),
            compilation_options: Default::default(),
            targets: &[Some(wgpu::ColorTargetState {
                format: target,
                blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                write_mask: wgpu::ColorWrites::ALL,
            })],
        }),
        multiview_mask: None,
        cache: None,
    });
    Pass { pipeline, inputs }
}
