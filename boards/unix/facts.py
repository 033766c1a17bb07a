"""MicroPython's unix port on x86-64. Fields: host_tools/boards/facts.py."""

CHIP = "x86-64"
ESPTOOL_CHIP = None
FIRMWARE = None
PLATFORM = "linux"
MPY_ARCH = "x64"
USB_IDS = ()
FLASH_SIZE = None
FLASH_FREE = None
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = None
UF2_FAMILY = None
UF2_BOARD = None
CPU_HZ = None
LED_PIN = None
LED_LIT = None
HEAP_CONNECTED = None
WIFI_POWER_SAVE = None
TICK_MS = None
TICK_REMEDY = None
