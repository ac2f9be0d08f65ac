"""
Java, and the jars of Apache Kafka, fetched once with Maven into a cache folder.

The folder is the one in ``CARDWIRE_TEST_KAFKA_JARS``, else one in the user's cache folder.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support import ServiceMissing

VERSION: Final = "4.3.1"

JAVA: Final = 17
"""The oldest version that runs Kafka 4."""

FETCH_JARS_S: Final = 170.0
TOOL_S: Final = 90.0

# kafka-tools: kafka-acls.sh. What else of it needs more jars is not needed here.
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cardwire.tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{VERSION}</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

# The quick compiler alone: a broker of tests lives for minutes, and starts with a third less work.
JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")

SCRIPTS: Final = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-storage.sh": "kafka.tools.StorageTool",
}
"""What Kafka's own shell scripts run."""


def run_tool(script: str, arguments: Sequence[str]) -> None:
    """Run what one of Kafka's scripts runs. Raises `subprocess.CalledProcessError`."""
    subprocess.run([*tool(script), *arguments], check=True, capture_output=True, text=True, timeout=TOOL_S)


def tool(script: str) -> list[str]:
    """
    Return the command that one of Kafka's scripts amounts to.

    Raises:
        ServiceMissing: Java, Maven or the jars are missing; says what to install.
    """
    return [java(), *JVM, "-cp", f"{jars()}/*", SCRIPTS[script]]


def jars() -> Path:
    """
    Return the folder with Kafka's jars, fetched with Maven the first time.

    Raises:
        ServiceMissing: They are not there and cannot be fetched.
    """
    named = os.environ.get("CARDWIRE_TEST_KAFKA_JARS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else cache / "cardwire" / f"kafka-{VERSION}-with-tools"
    if not any(folder.glob("kafka_*.jar")):
        _fetch_jars(folder)
    return folder


def _fetch_jars(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServiceMissing("Apache Kafka needs Maven to fetch its jars once (Debian: apt install maven)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        pom, fetched = Path(scratch, "pom.xml"), Path(scratch, "jars")
        pom.write_text(_POM, encoding="ascii")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
        try:
            subprocess.run(
                [maven, "-q", "-B", "-f", str(pom), *goal],
                check=True,
                capture_output=True,
                text=True,
                timeout=FETCH_JARS_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise ServiceMissing(
                f"Apache Kafka: Maven could not fetch the jars of {VERSION}; run once with a package registry in reach,"
                " or name a folder that holds them: CARDWIRE_TEST_KAFKA_JARS=/path/to/jars"
            ) from error
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        try:
            fetched.rename(folder)
        except OSError:  # another run was faster
            if not any(folder.glob("kafka_*.jar")):
                raise


def java() -> str:
    """
    Return the program that runs Java.

    Raises:
        ServiceMissing: There is none, or it is too old.
    """
    found = shutil.which("java")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr if found else ""
    version = re.search(r'version "(\d+)', said)
    if found is None or version is None or int(version[1]) < JAVA:
        raise ServiceMissing(f"Apache Kafka needs Java {JAVA} or newer (Debian: apt install default-jdk-headless)")
    return found
