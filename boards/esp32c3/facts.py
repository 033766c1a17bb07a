"""ESP32-C3, stock firmware. Fields: host_tools/boards/facts.py.

The heap was measured with firmware 1.27 in an emulator; its largest piece is 102,400 bytes. The
LED is that of the "Super Mini" boards; Espressif's own have a WS2812 at the same pin.
"""

CHIP = "ESP32-C3"
ESPTOOL_CHIP = "esp32c3"
FIRMWARE = "ESP32_GENERIC_C3"
PLATFORM = "esp32"
MPY_ARCH = "rv32imc"
USB_IDS = ((0x303A, 0x1001, "either"),)
FLASH_SIZE = 0x400000
FLASH_FREE = None
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = 0x0
UF2_FAMILY = None
UF2_BOARD = None
CPU_HZ = None
LED_PIN = 8
LED_LIT = 0
HEAP_CONNECTED = 164192
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
