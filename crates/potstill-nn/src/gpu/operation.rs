//! Operations with a backward pass of their own in the framework's graph.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};
use burn::tensor::{Int, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// Operation with its derivative.
pub trait GpuOperation<const N: usize>: Debug + Clone + Send + 'static {
    /// Tensors that the backward pass reads.
    type Saved: Debug + Clone + Send + 'static;

    /// Computes the result, and what [`Self::backward`] reads.
    fn forward(&self, inputs: [CubeTensor; N]) -> (CubeTensor, Self::Saved);

    /// Gradients with respect to the inputs, given the gradient of the output.
    fn backward(&self, saved: Self::Saved, gradient: CubeTensor) -> [CubeTensor; N];
}

type Tracked = FloatTensor<Autodiff<CubeBackend>>;

/// Runs an operation, which is recorded where one of its inputs is; `None` where one is not on a graphics processor.
pub fn run<O: GpuOperation<N>, const N: usize>(operation: &O, inputs: [&Tensor<2>; N]) -> Option<Tensor<2>> {
    let plain = inputs.map(|input| input.clone().try_into_primitive::<CubeBackend>().ok());
    if plain.iter().all(Option::is_some) {
        let (output, _) = operation.forward(plain.map(|input| input.unwrap_or_else(|| unreachable!("checked above"))));
        return Some(Tensor::from_primitive::<CubeBackend>(output));
    }
    let tracked = inputs.map(tracked);
    if tracked.iter().any(Option::is_none) {
        return None;
    }
    let tracked = tracked.map(|input| input.unwrap_or_else(|| unreachable!("checked above")));
    let guards: [NodeGuard; N] = tracked.each_ref().map(Tracked::node);
    let values = tracked.map(Tracked::into_primitive);
    let output = match Step(operation.clone()).prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (output, saved) = operation.forward(values);
            prep.finish(saved, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(operation.forward(values).0),
    };
    Some(Tensor::from_primitive::<Autodiff<CubeBackend>>(output))
}

fn tracked(tensor: &Tensor<2>) -> Option<Tracked> {
    if let Ok(tracked) = tensor.clone().try_into_primitive::<Autodiff<CubeBackend>>() {
        return Some(tracked);
    }
    let plain = tensor.clone().try_into_primitive::<CubeBackend>().ok()?;
    Some(Autodiff::<CubeBackend>::from_inner(plain))
}

/// Constants on a graphics processor.
pub fn plain(tensor: &Tensor<2>) -> Option<CubeTensor> {
    tracked(tensor).map(Tracked::into_primitive)
}

/// Indices on a graphics processor.
pub fn integers(tensor: &Tensor<1, Int>) -> Option<CubeTensor> {
    let tracked = tensor.clone().try_into_primitive::<Autodiff<CubeBackend>>();
    tracked.or_else(|_| tensor.clone().try_into_primitive::<CubeBackend>()).ok()
}

#[derive(Debug)]
struct Step<O>(O);

impl<O: GpuOperation<N>, const N: usize> Backward<CubeBackend, N> for Step<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<O::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<CubeBackend>(&ops.node);
        let results = self.0.backward(ops.state, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                grads.register::<CubeBackend>(parent.id, result);
            }
        }
    }
}
