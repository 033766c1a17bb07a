"""ESP32-S3, stock firmware. Fields: host_tools/boards/facts.py.

Its development boards have a WS2812 (GPIO 48 or 38) in place of a plain LED.
"""

CHIP = "ESP32-S3"
ESPTOOL_CHIP = "esp32s3"
FIRMWARE = "ESP32_GENERIC_S3"
PLATFORM = "esp32"
MPY_ARCH = "xtensawin"
USB_IDS = ((0x303A, 0x4001, "MicroPython"), (0x303A, 0x1001, "either"),
           (0x303A, 0x0009, "boot loader"))
FLASH_SIZE = 0x400000
FLASH_FREE = None
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = 0x0
UF2_FAMILY = None
UF2_BOARD = None
CPU_HZ = 240_000_000
LED_PIN = None
LED_LIT = None
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
