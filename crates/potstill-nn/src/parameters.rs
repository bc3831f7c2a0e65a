//! Parameters of a module as one flat host vector, and back.
//!
//! Training stores its weights in this form: every thread loads the same vector into a network of its own, and gradients
//! are added in a fixed order. Order is that of the fields of the module.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Element, Gradients, Tensor, TensorData, Transaction};
use potstill_kernels::Number;

/// Name, shape and place of one parameter in the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Path of the parameter in the module, `messages.0.filter.weight`.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// First element in the flat vector.
    pub offset: usize,
}

impl ParameterInfo {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// Names, shapes and offsets of all parameters.
pub fn describe<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut visitor = Describe { path: Vec::new(), infos: Vec::new(), offset: 0 };
    module.visit(&mut visitor);
    visitor.infos
}

struct Describe {
    path: Vec<String>,
    infos: Vec<ParameterInfo>,
    offset: usize,
}

impl Describe {
    fn name(&self) -> String {
        let parts: Vec<&str> = self.path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(".")
    }
}

impl ModuleVisitor for Describe {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape: Vec<usize> = param.val().dims().to_vec();
        let info = ParameterInfo { name: self.name(), shape, offset: self.offset };
        self.offset += info.len();
        self.infos.push(info);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        // The variant of an enum is not part of a weight's name.
        self.path.push(if container.starts_with("Enum") { String::new() } else { name.to_owned() });
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

/// Copies all parameters into one vector.
pub fn to_vector<M: Module, T: Number + Element>(module: &M) -> Vec<T> {
    let mut visitor = Collect { values: Vec::new() };
    module.visit(&mut visitor);
    visitor.values
}

struct Collect<T> {
    values: Vec<T>,
}

impl<T: Number + Element> ModuleVisitor for Collect<T> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.values.extend(param.val().to_data_as::<T>().iter::<T>());
    }
}

/// Module with the values of `vector`, on `device`; its parameters record gradients when that is an autodiff device.
///
/// `vector` must hold exactly the module's parameters.
pub fn with_vector<M: Module, T: Number + Element>(module: M, vector: &[T], device: &Device) -> M {
    module.map(&mut Load { vector, offset: 0, device })
}

struct Load<'a, T> {
    vector: &'a [T],
    offset: usize,
    device: &'a Device,
}

impl<T: Number + Element> ModuleMapper for Load<'_, T> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let n: usize = shape.iter().product();
        let values = self.vector[self.offset..self.offset + n].to_vec();
        self.offset += n;
        let tensor = Tensor::from_data(TensorData::new(values, shape), (self.device, T::dtype()));
        let tensor = if self.device.is_autodiff() { tensor.require_grad() } else { tensor };
        Param::initialized(param.id, tensor)
    }
}

/// Gradients of all parameters in the order of [`to_vector`]; zero where the loss does not depend on one.
///
/// All are read together: a graphics processor is waited for once.
pub fn gradients_to_vector<M: Module, T: Number + Element>(module: &M, gradients: &mut Gradients, out: &mut Vec<T>) {
    let mut collected = CollectGradients { gradients, found: Vec::new(), read: Transaction::default() };
    module.visit(&mut collected);
    let mut read = collected.read.execute().into_iter();
    for (n, found) in collected.found {
        let data = if found { read.next() } else { None };
        match data {
            Some(data) => match data.as_slice::<T>() {
                Ok(values) => out.extend_from_slice(values),
                Err(_) => out.extend(data.iter::<T>()),
            },
            None => out.extend(std::iter::repeat_n(T::default(), n)),
        }
    }
}

struct CollectGradients<'a> {
    gradients: &'a mut Gradients,
    /// Number of elements of each parameter, and whether it has a gradient.
    found: Vec<(usize, bool)>,
    read: Transaction,
}

impl ModuleVisitor for CollectGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let gradient = value.grad_remove(self.gradients);
        self.found.push((value.shape().num_elements(), gradient.is_some()));
        if let Some(gradient) = gradient {
            self.read = std::mem::take(&mut self.read).register(gradient);
        }
    }
}
