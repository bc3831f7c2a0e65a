//! What an operation is, and how one enters the framework's graph.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn::tensor::{Bytes, DType, Element, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};

use potstill_kernels::number::Number;

/// One input on the host.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a, T> {
    /// Row-major.
    pub values: &'a [T],
    /// Lengths of the axes.
    pub shape: &'a [usize],
}

impl<T> Input<'_, T> {
    /// Length of the first axis, and of all others together.
    pub fn matrix(&self) -> (usize, usize) {
        (self.shape[0], self.shape[1..].iter().product())
    }
}

/// What a forward pass gives.
pub struct Forward<T> {
    /// The result, row-major.
    pub output: Vec<T>,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// What backward reads beside the inputs; nothing when `keep` is false.
    pub saved: Vec<Vec<T>>,
}

/// An operation with its derivative, in either precision.
pub trait Operation<const N: usize>: Debug + Clone + Send + 'static {
    /// The result; values for [`Self::backward`] only if `keep`.
    fn forward<T: Number>(&self, inputs: [Input<'_, T>; N], keep: bool) -> Forward<T>;

    /// Derivatives with respect to the inputs that are `wanted`, given that with respect to the output.
    fn backward<T: Number>(
        &self,
        inputs: [Input<'_, T>; N],
        saved: &[Vec<T>],
        gradient: Vec<T>,
        wanted: [bool; N],
    ) -> [Option<Vec<T>>; N];
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// A tensor as the CPU backend holds it.
#[derive(Debug, Clone)]
pub enum Primitive {
    Plain(FlexTensor),
    Tracked(Tracked),
}

impl Primitive {
    /// None on any other backend.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if let Ok(tracked) = tensor.clone().try_into_primitive::<Autodiff<Flex>>() {
            return Some(Self::Tracked(tracked));
        }
        tensor.clone().try_into_primitive::<Flex>().ok().map(Self::Plain)
    }

    fn values(&self) -> FlexTensor {
        let tensor = match self {
            Self::Plain(tensor) => tensor,
            Self::Tracked(tensor) => tensor.primitive(),
        };
        // Views start anywhere: operations read slices that start at the beginning.
        tensor.to_contiguous()
    }

    fn tracked(self) -> Tracked {
        match self {
            Self::Plain(tensor) => Autodiff::<Flex>::from_inner(tensor),
            Self::Tracked(tensor) => tensor,
        }
    }
}

/// Whether a tensor lies on the CPU backend, so that operations on it do not give `None`.
pub fn on_host<const D: usize>(tensor: &Tensor<D>) -> bool {
    Primitive::of(tensor).is_some()
}

/// Runs an operation; `None` where the inputs are not on the CPU backend.
pub fn run<O: Operation<N>, const N: usize, const D: usize>(
    operation: O,
    inputs: [Option<Primitive>; N],
) -> Option<Tensor<D>> {
    if inputs.iter().any(Option::is_none) {
        return None;
    }
    let inputs = inputs.map(|input| input.unwrap_or_else(|| unreachable!("checked above")));
    let values = inputs.each_ref().map(Primitive::values);
    if inputs.iter().all(|input| matches!(input, Primitive::Plain(_))) {
        return Some(Tensor::from_primitive::<Flex>(forward(&operation, &values, false).0));
    }
    let inputs = inputs.map(Primitive::tracked);
    let guards: [NodeGuard; N] = inputs.each_ref().map(|input| input.node());
    let output = match Step(operation.clone()).prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (output, saved) = forward(&operation, &values, true);
            prep.finish(State { inputs: values, saved }, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(&operation, &values, false).0),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
}

/// What an operation keeps between its two passes.
#[derive(Debug, Clone)]
struct State<const N: usize> {
    inputs: [FlexTensor; N],
    saved: Saved,
}

/// Shared, since the framework clones states.
#[derive(Clone)]
enum Saved {
    F32(std::sync::Arc<Vec<Vec<f32>>>),
    F64(std::sync::Arc<Vec<Vec<f64>>>),
}

impl Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Saved")
    }
}

#[derive(Debug)]
struct Step<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = State<N>;

    fn backward(self, ops: Ops<State<N>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let State { inputs, saved } = ops.state;
        let results = match saved {
            Saved::F32(saved) => derivatives::<f32, O, N>(&self.0, &inputs, &saved, gradient, wanted),
            Saved::F64(saved) => derivatives::<f64, O, N>(&self.0, &inputs, &saved, gradient, wanted),
        };
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                grads.register::<Flex>(parent.id, result);
            }
        }
    }
}

fn forward<O: Operation<N>, const N: usize>(
    operation: &O,
    inputs: &[FlexTensor; N],
    keep: bool,
) -> (FlexTensor, Saved) {
    match inputs[0].dtype() {
        DType::F64 => {
            let (output, saved) = forward_in::<f64, O, N>(operation, inputs, keep);
            (output, Saved::F64(saved.into()))
        }
        _ => {
            let (output, saved) = forward_in::<f32, O, N>(operation, inputs, keep);
            (output, Saved::F32(saved.into()))
        }
    }
}

fn forward_in<T: Number + Element, O: Operation<N>, const N: usize>(
    operation: &O,
    inputs: &[FlexTensor; N],
    keep: bool,
) -> (FlexTensor, Vec<Vec<T>>) {
    let result = operation.forward(inputs.each_ref().map(host::<T>), keep);
    (tensor(result.output, &result.shape), result.saved)
}

fn derivatives<T: Number + Element, O: Operation<N>, const N: usize>(
    operation: &O,
    inputs: &[FlexTensor; N],
    saved: &[Vec<T>],
    gradient: FlexTensor,
    wanted: [bool; N],
) -> [Option<FlexTensor>; N] {
    let gradient = owned(gradient);
    let mut index = 0;
    operation.backward(inputs.each_ref().map(host::<T>), saved, gradient, wanted).map(|result| {
        let shape = inputs[index].layout().shape();
        index += 1;
        result.map(|values| tensor(values, shape))
    })
}

fn host<T: Number + Element>(tensor: &FlexTensor) -> Input<'_, T> {
    let n = tensor.layout().num_elements();
    let start = tensor.layout().start_offset();
    Input { values: &tensor.storage::<T>()[start..start + n], shape: tensor.layout().shape() }
}

fn tensor<T: Number + Element>(values: Vec<T>, shape: &[usize]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(shape.to_vec())), T::dtype())
}

/// The values; without a copy where nobody else holds them.
fn owned<T: Number + Element>(tensor: FlexTensor) -> Vec<T> {
    if !(tensor.is_unique() && tensor.is_contiguous() && tensor.layout().start_offset() == 0) {
        return host::<T>(&tensor.to_contiguous()).values.to_vec();
    }
    let data = tensor.into_data();
    data.try_into_vec().unwrap_or_else(|_| unreachable!("the type is that of the inputs"))
}
