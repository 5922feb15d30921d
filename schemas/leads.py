"""Lead names and the arithmetic that ties the limb leads together."""

from typing import Final

#: The standard order of a 12-lead ECG (AHA/ACCF/HRS 2007 part I), used everywhere in Diastole.
LEADS_12: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

#: The leads that carry all the information: the other four are sums of I and II (Einthoven, Goldberger).
LEADS_8: Final = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

#: III, aVR, aVL and aVF as weights of (I, II): III = II − I, aVR = −(I+II)/2, aVL = I − II/2, aVF = II − I/2.
DERIVED_FROM_I_II: Final = {
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
