"""HL7 aECG documents as carts and core laboratories write them: series, sequence sets, annotations."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def time_xml(head: str, *, step: str = "2", unit: str = "ms", code: str = "TIME_ABSOLUTE") -> str:
    """The sequence of time: a head and a step."""
    return f"""<component><sequence><code code="{code}"/><value xsi:type="GLIST_TS"><head value="{head}"/>
<increment value="{step}" unit="{unit}"/></value></sequence></component>"""


def lead_xml(name: str, counts: Counts, *, scale: str = "2.5", unit: str = "uV", origin: str = "0") -> str:
    """The sequence of a lead."""
    return f"""<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/><value xsi:type="SLIST_PQ">
<origin value="{origin}" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>
<digits>{" ".join(map(str, counts))}</digits></value></sequence></component>"""


def set_xml(leads: Mapping[str, Counts], *, time: str | None = None, scale: str = "2.5") -> str:
    """A set of simultaneous sequences."""
    sequences = "".join(lead_xml(name, counts, scale=scale) for name, counts in leads.items())
    return (
        f"<component><sequenceSet>{time or time_xml('20200203040506')}{sequences}</sequenceSet></component>"
    )


def measured_xml(code: str, measured: str, unit: str, *, lead: str = "") -> str:
    """An annotation with a number, of one lead where one is named."""
    roi = f"""<support><supportingROI><component><boundary>
<code code="MDC_ECG_LEAD_{lead}"/></boundary></component>
</supportingROI></support>"""
    return f"""<component><annotation><code code="{code}"/>
<value xsi:type="PQ" value="{measured}" unit="{unit}"/>
{roi if lead else ""}</annotation></component>"""


def beat_xml(annotations: str) -> str:
    """Annotations of one beat."""
    return f'<component><annotation><code code="MDC_ECG_BEAT"/>{annotations}</annotation></component>'


def annotated_xml(annotations: str, *, by: str = "assignedDevice") -> str:
    """A set of annotations by a device or a person."""
    return f"""<subjectOf><annotationSet><author><assignedEntity><assignedAuthorType><{by}/>
</assignedAuthorType>
</assignedEntity></author>{annotations}</annotationSet></subjectOf>"""


def series_xml(content: str, *, code: str = "RHYTHM") -> str:
    """A series around its sequence sets and annotations."""
    return f"""<component><series><code code="{code}"/>
<effectiveTime><low value="20200203040506"/></effectiveTime>
<author><seriesAuthor><manufacturedSeriesDevice><id root="1.2" extension="SN-9"/>
<manufacturerModelName>ELI380</manufacturerModelName></manufacturedSeriesDevice>
<manufacturerOrganization><name>Mortara</name></manufacturerOrganization></seriesAuthor></author>
{content}</series></component>"""


def aecg_xml(series: str, *, subject: str = '<id root="1.2.3" extension="P-1"/>') -> str:
    """A document around its series."""
    return f"""<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" type="Observation"><id root="2.16.840.1" extension="7"/>
<effectiveTime><center value="20200203040000"/></effectiveTime><componentOf><timepointEvent><componentOf>
<subjectAssignment><subject><trialSubject>{subject}<subjectDemographicPerson>
<administrativeGenderCode code="F"/><birthTime value="19500301"/></subjectDemographicPerson></trialSubject>
</subject></subjectAssignment></componentOf></timepointEvent></componentOf>{series}</AnnotatedECG>"""
