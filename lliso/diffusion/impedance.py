r"""Impedance of a ceramic: grains, boundaries, electrode, with constant-phase elements.

Frequencies in Hz, impedances in Ω; a constant-phase element has Z = 1/(Q (jω)ⁿ), Q in S sⁿ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ComplexArray = npt.NDArray[np.complex128]


def constant_phase(frequency: npt.ArrayLike, q: float, n: float) -> ComplexArray:
    """Impedance of a constant-phase element; n = 1 is a capacitor, 0.5 like diffusion.

    Examples
    --------
    >>> z = constant_phase([1.0], q=1e-6, n=1.0)
    >>> bool(abs(z[0].imag + 1 / (2 * np.pi * 1e-6)) < 1e-6)
    True
    """
    omega = 2j * np.pi * np.asarray(frequency, dtype=float)
    return np.asarray(1.0 / (q * omega**n), dtype=np.complex128)


def arc(frequency: npt.ArrayLike, r: float, q: float, n: float) -> ComplexArray:
    """Impedance of a resistance with a constant-phase element beside it: a depressed arc.

    Examples
    --------
    >>> z = arc([1e-9, 1e15], r=100.0, q=1e-9, n=0.9)
    >>> round(float(z[0].real), 6), bool(abs(z[1]) < 1e-2)
    (100.0, True)
    """
    omega = 2j * np.pi * np.asarray(frequency, dtype=float)
    return np.asarray(r / (1.0 + r * q * omega**n), dtype=np.complex128)


def polycrystal_impedance(
    frequency: npt.ArrayLike,
    r_bulk: float,
    r_gb: float,
    q_gb: float,
    n_gb: float = 1.0,
    q_bulk: float = 0.0,
    n_bulk: float = 1.0,
    q_electrode: float = np.inf,
    n_electrode: float = 1.0,
    inductance: float = 0.0,
) -> ComplexArray:
    r"""Impedance of grains, boundaries and blocking electrodes in series.

    .. math:: Z = j\omega L + \frac{R_b}{1 + R_b Q_b (j\omega)^{n_b}}
              + \frac{R_{gb}}{1 + R_{gb} Q_{gb} (j\omega)^{n_{gb}}}
              + \frac{1}{Q_e (j\omega)^{n_e}}

    Parameters
    ----------
    frequency : array_like, shape (n,)
        Hz.
    r_bulk, r_gb : float
        Resistances of grains and boundaries, Ω.
    q_gb, n_gb, q_bulk, n_bulk : float
        Constant-phase elements beside them, S sⁿ; ``q_bulk = 0``: the arc of the grains lies above
        the measured frequencies.
    q_electrode, n_electrode : float
        Of the electrodes; infinite for none.
    inductance : float
        Of leads, H.

    Returns
    -------
    numpy.ndarray of complex, shape (n,)

    References
    ----------
    J. T. S. Irvine, D. C. Sinclair, A. R. West, Adv. Mater. 2 (1990) 132.

    Examples
    --------
    >>> z = polycrystal_impedance([1e-3, 1e12], r_bulk=100.0, r_gb=900.0, q_gb=1e-8)
    >>> z.real.round(3).tolist()
    [1000.0, 100.0]
    """
    f = np.asarray(frequency, dtype=float)
    z = arc(f, r_bulk, q_bulk, n_bulk) + arc(f, r_gb, q_gb, n_gb)
    if np.isfinite(q_electrode):
        z = z + constant_phase(f, q_electrode, n_electrode)
    return np.asarray(z + 2j * np.pi * f * inductance, dtype=np.complex128)


def capacitance(r: Any, q: Any, n: Any) -> Any:
    """Return the capacitance of an arc, (R^(1−n) Q)^(1/n), in F.

    Pico- to tens of picofarads (for a sample of about 1 cm) say grains, nano- to tens of nanofarads
    boundaries, microfarads electrodes.

    Examples
    --------
    >>> round(capacitance(1e4, 2e-9, 1.0) * 1e9, 6)
    2.0
    """
    return (r ** (1.0 - n) * q) ** (1.0 / n)
